"""Provider events: taken in, matched to receipts, given to the user's handlers. An event is a reason to look."""
