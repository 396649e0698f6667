//! How many enclaves run at once: places are bounded by processors and memory, first come, first served.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one machine. All tasks are of one size, so one number bounds processors and memory alike.
#[derive(Clone, Debug)]
pub struct Room {
    places: Arc<Semaphore>,
}

/// A taken place; free again when dropped.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// As many places as fit both bounds when each task gets its share; at least one.
    pub fn new(cpu_milli: u32, memory_mib: u32, task_cpu_milli: u32, task_memory_mib: u32) -> Self {
        let by_cpu = cpu_milli / task_cpu_milli.max(1);
        let by_memory = memory_mib / task_memory_mib.max(1);
        let places = usize::try_from(by_cpu.min(by_memory).max(1)).unwrap_or(1);
        Self { places: Arc::new(Semaphore::new(places)) }
    }

    /// Free places.
    pub fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// Waits for a place.
    pub async fn enter(&self) -> Place {
        // Nobody closes the semaphore; without it there would be no bound, and no harm.
        Place { _permit: Arc::clone(&self.places).acquire_owned().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_scarcer_of_processors_and_memory_bounds_the_places() {
        assert_eq!(Room::new(4000, 8192, 1000, 1024).free(), 4);
        assert_eq!(Room::new(4000, 2048, 1000, 1024).free(), 2);
        assert_eq!(Room::new(500, 512, 1000, 1024).free(), 1, "one task always fits");
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_task_is_over() {
        let room = Room::new(1000, 1024, 1000, 1024);
        let place = room.enter().await;
        assert_eq!(room.free(), 0);
        drop(place);
        assert_eq!(room.free(), 1);
    }
}
