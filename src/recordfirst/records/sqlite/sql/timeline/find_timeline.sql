-- One row, asked for every second.
SELECT {timeline} FROM recordfirst_timeline WHERE app = :app
