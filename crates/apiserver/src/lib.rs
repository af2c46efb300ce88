//! A multi-tenant Kubernetes API server: one process, many virtual clusters, each a Kubernetes API of its own.
//!
//! Modules stand in the order in which a request meets them.

pub mod config;

pub mod base;
pub mod listen;
pub mod tenant;

pub mod request;

pub mod access;
pub mod audit;
pub mod fair;
pub mod identity;

pub mod codec;

pub mod apply;
pub mod custom;
pub mod model;
pub mod patch;

pub mod admit;
pub mod kinds;

pub mod discover;

pub mod registry;

pub mod store;
pub mod watch;

pub mod bus;
pub mod controllers;

pub mod ops;
pub mod tunnel;
