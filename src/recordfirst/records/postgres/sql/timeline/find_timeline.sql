-- One row, asked for every second.
SELECT {timeline} FROM recordfirst.timeline WHERE app = %(app)s
