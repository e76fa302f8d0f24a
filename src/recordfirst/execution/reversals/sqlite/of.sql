-- What is stored of one receipt, in order. By recordfirst_reversal_of.
SELECT {reversal} FROM recordfirst_reversal AS reversal
WHERE app = :app AND key = :key AND attempt = :attempt
ORDER BY number
