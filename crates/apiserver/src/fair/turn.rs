//! What one request holds: its place among the tenant's own, and a seat while it works.

use std::future::Future;
use std::task::Poll;

use parking_lot::Mutex;

use super::Place;
use super::round::Class;
use super::seats::{NoSeat, Seat, Seats};
use crate::identity::Identity;
use crate::kinds;
use crate::listen::Server;
use crate::model::status::ApiStatus;
use crate::request::RequestInfo;
use crate::tenant::{Tenant, TenantId};

/// Paths that are answered however busy the process is.
const PROBES: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// A request's turn. The seat is given back wherever the request waits for something else: its body, a commit, a host.
pub struct Turn {
    _place: Option<Place>,
    ticket: Option<Ticket>,
    seat: Mutex<Option<Seat>>,
}

/// Where to queue for a seat.
struct Ticket {
    seats: Seats,
    tenant: TenantId,
    weight: u8,
    class: Class,
}

fn busy() -> ApiStatus {
    ApiStatus::too_many_requests("Too many requests, please try again later.", 1)
}

/// Waits for the turn of a request; 429 where the tenant has too many already, or nobody got up in time. Watches are
/// counted elsewhere (Q12) and need a seat until they are open.
pub async fn enter(
    server: &Server,
    tenant: &Tenant,
    who: &Identity,
    info: &RequestInfo,
) -> Result<Turn, ApiStatus> {
    if who.is_system() || (info.resource.is_none() && PROBES.contains(&info.path.as_str())) {
        return Ok(Turn { _place: None, ticket: None, seat: Mutex::default() });
    }
    let (in_flight, limits) = (tenant.in_flight(), tenant.limits());
    let reads = matches!(info.verb, "get" | "list" | "watch" | "head" | "options");
    let place = match info.verb {
        "watch" => None,
        _ if reads => Some(super::take(&in_flight.reading, limits.in_flight_reading)),
        _ => Some(super::take(&in_flight.mutating, limits.in_flight_mutating)),
    };
    let place = match place {
        Some(None) => {
            server.metrics().refused("inFlight");
            return Err(busy());
        }
        Some(place) => place,
        None => None,
    };
    let class = match &info.resource {
        Some(target) if kinds::is_heartbeat(target) => Class::Lease,
        _ if reads => Class::Reading,
        _ => Class::Mutating,
    };
    let ticket =
        Ticket { seats: server.seats().clone(), tenant: tenant.id, weight: tenant.spec().weight, class };
    let turn = Turn { _place: place, ticket: Some(ticket), seat: Mutex::default() };
    turn.sit().await.inspect_err(|_| server.metrics().refused("seats"))?;
    // Most of the work never waits: without a pause here each request would be through before the next one could ask
    // for a seat, and the runtime's own queue, first come first served, would decide instead of the weights.
    tokio::task::yield_now().await;
    Ok(turn)
}

impl Turn {
    /// Takes a seat again. A request that is on one keeps it.
    pub async fn sit(&self) -> Result<(), ApiStatus> {
        let Some(ticket) = &self.ticket else { return Ok(()) };
        if self.seat.lock().is_some() {
            return Ok(());
        }
        let Ticket { seats, tenant, weight, class } = ticket;
        let seat = seats.take(*tenant, *weight, *class).await.map_err(|NoSeat| busy())?;
        *self.seat.lock() = Some(seat);
        Ok(())
    }

    /// Gives the seat back: what follows is waiting.
    pub fn leave(&self) {
        // Given back after the lock, which whoever sits down next has no part in.
        let seat = self.seat.lock().take();
        drop(seat);
    }

    /// Waits for something outside of the process, without the seat unless it is there already.
    pub async fn away<T>(&self, work: impl Future<Output = T>) -> Result<T, ApiStatus> {
        let mut work = std::pin::pin!(work);
        if let Poll::Ready(done) = futures::poll!(work.as_mut()) {
            return Ok(done);
        }
        self.leave();
        let done = work.await;
        self.sit().await?;
        Ok(done)
    }
}
