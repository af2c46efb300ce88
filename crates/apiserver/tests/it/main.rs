//! The server inside one process: what clients may rely on, by case of the design.

mod controllers;
mod crud;
mod front;
mod support;
mod wire;
