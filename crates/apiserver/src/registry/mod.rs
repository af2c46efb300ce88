//! The one path of create, update, patch, delete, get and list. Never a kind's name.

mod call;
mod checks;
mod commit;
mod create;
mod delete;
mod ingest;
mod list;
mod modify;
mod page;
mod read;
mod refusals;
mod selection;
mod view;

pub use call::{Call, Outcome, Warnings};
pub use create::create;
pub use delete::{delete, delete_collection};
pub use ingest::{check_configuration, check_kind, known};
pub use list::{Page, list, wait_for};
pub use modify::{Change, PatchKind, modify};
pub use read::get;
pub use refusals::of_patch;
pub use selection::{Seen, Selection};
pub use view::{index_of, is_stored_version, view};
