//! The one path of create, update, patch, delete, get and list. Never a kind's name.
