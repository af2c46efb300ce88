//! The seats of the process: how many requests work at once, and whose turn it is when all are taken (J1).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::round::{Class, Round};
use crate::tenant::TenantId;

/// How long a request waits for a seat.
const PATIENCE: Duration = Duration::from_secs(15);
/// Seats per core where the settings name no number.
const PER_CORE: usize = 8;

/// Nobody got up in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSeat;

struct State {
    free: usize,
    waiting: Round<TenantId, oneshot::Sender<Seat>>,
}

struct Room {
    state: Mutex<State>,
    patience: Duration,
}

/// The seats of a process. Clones are the same seats.
#[derive(Clone)]
pub struct Seats(Arc<Room>);

/// A seat; given back when dropped.
pub struct Seat(Seats);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.0.state.lock().free += 1;
        self.0.hand_out();
    }
}

impl Seats {
    /// As many as the settings say; 0 stands for eight per core.
    pub fn new(number: usize) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let free = if number == 0 { PER_CORE * cores() } else { number };
        Self::with_patience(free, PATIENCE)
    }

    fn with_patience(free: usize, patience: Duration) -> Self {
        let state = Mutex::new(State { free, waiting: Round::default() });
        Self(Arc::new(Room { state, patience }))
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.0.state.lock().free
    }

    /// A seat for work of a tenant, at once or in its turn.
    pub async fn take(&self, tenant: TenantId, weight: u8, class: Class) -> Result<Seat, NoSeat> {
        let turn = {
            let mut state = self.0.state.lock();
            if state.free > 0 && state.waiting.is_empty() {
                state.free -= 1;
                return Ok(Seat(self.clone()));
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push(tenant, weight, class, sender);
            turn
        };
        self.hand_out();
        match tokio::time::timeout(self.0.patience, turn).await {
            Ok(Ok(seat)) => Ok(seat),
            Ok(Err(_)) | Err(_) => Err(NoSeat),
        }
    }

    fn hand_out(&self) {
        loop {
            let next = {
                let mut state = self.0.state.lock();
                if state.free == 0 {
                    return;
                }
                let Some(next) = state.waiting.pop(|waiter| !waiter.is_closed()) else { return };
                state.free -= 1;
                next
            };
            // Outside of the lock: a seat that nobody takes any more comes back here.
            drop(next.send(Seat(self.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> TenantId {
        TenantId::of_uid(name)
    }

    /// Seats are lent while nobody else asks, and come back in turns.
    #[tokio::test]
    async fn seats_are_lent_and_come_back_in_turns() {
        let seats = Seats::with_patience(2, Duration::from_secs(5));
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(seats.take(id("b"), 10, Class::Reading).await.unwrap_or_else(|_| panic!()));
        }
        assert_eq!(seats.free(), 0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (i, name) in ["b", "b", "b", "b", "a", "a"].into_iter().enumerate() {
            let (seats, order) = (seats.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let _seat = seats.take(id(name), 10, Class::Reading).await.unwrap_or_else(|_| panic!());
                order.lock().push((name, i));
            }));
            tokio::task::yield_now().await;
        }
        drop(held.pop());
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock().clone();
        let place = |i| order.iter().position(|(_, n)| *n == i).unwrap();
        assert!(place(4) <= 1 && place(5) <= 3, "a's two are served between b's: {order:?}");
        drop(held);
        assert_eq!(seats.free(), 2);
    }

    /// Who waits too long is told so; who leaves is passed over. No seat is lost either way.
    #[tokio::test]
    async fn no_seat_is_lost() {
        let seats = Seats::with_patience(1, Duration::from_millis(30));
        let held = seats.take(id("a"), 10, Class::Reading).await.unwrap_or_else(|_| panic!());
        assert!(seats.take(id("b"), 10, Class::Reading).await.is_err());
        let left = tokio::spawn({
            let seats = seats.clone();
            async move { seats.take(id("b"), 10, Class::Reading).await.map(drop) }
        });
        tokio::task::yield_now().await;
        left.abort();
        let _gone = left.await;
        drop(held);
        assert_eq!(seats.free(), 1);
        assert!(seats.take(id("c"), 10, Class::Lease).await.is_ok());
        assert_eq!((seats.free(), seats.0.state.lock().waiting.is_empty()), (1, true));
    }
}
