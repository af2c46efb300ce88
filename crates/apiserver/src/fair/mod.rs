//! Seats: how many requests of a tenant run at a time.
