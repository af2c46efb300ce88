//! What the server asks of hosts and of the hub, as traits.
