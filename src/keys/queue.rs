//! A bounded queue that is fair between owners: owners are served in turn, and in a full queue the owner with the most
//! jobs makes room for others.

use std::collections::{HashMap, VecDeque};

/// Jobs by their owner. Owners take turns.
pub(super) struct Queue<T> {
    jobs: HashMap<usize, VecDeque<T>>,
    /// The owners that have jobs, the next one first.
    turns: VecDeque<usize>,
    length: usize,
    capacity: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { jobs: HashMap::new(), turns: VecDeque::new(), length: 0, capacity, closed: false }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Closes the queue for new jobs. Waiting jobs are still given out.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Drops the jobs for which `keep` is false. `keep` also gets the largest number of jobs that can come before the
    /// job.
    pub(super) fn retain(&mut self, keep: impl Fn(&T, usize) -> bool) {
        let (owners, all) = (self.jobs.len(), self.length);
        self.jobs.retain(|_, jobs| {
            let mut turn = 0;
            jobs.retain(|job| {
                turn += 1;
                keep(job, (turn * owners).min(all) - 1)
            });
            !jobs.is_empty()
        });
        let jobs = &self.jobs;
        self.turns.retain(|owner| jobs.contains_key(owner));
        self.length = jobs.values().map(VecDeque::len).sum();
    }

    /// Adds a job if there is room, and gives back the job that has no room. In a full queue, the newest job of the
    /// owner with the most jobs has no room if that owner then still has at least as many jobs as `owner`. Else this
    /// job has no room.
    pub(super) fn push(&mut self, owner: usize, job: T) -> Result<(), T> {
        let half = self.capacity / 2;
        let own = self.jobs.get(&owner).map_or(0, VecDeque::len);
        if self.closed || (self.length > own && own >= half) {
            return Err(job);
        }
        let mut displaced = None;
        if self.length >= self.capacity {
            let most = self.jobs.values_mut().max_by_key(|jobs| jobs.len());
            let Some(most) = most.filter(|jobs| jobs.len() > own + 1) else { return Err(job) };
            displaced = most.pop_back();
            self.length -= usize::from(displaced.is_some());
        }
        let jobs = self.jobs.entry(owner).or_default();
        if jobs.is_empty() {
            self.turns.push_back(owner);
        }
        jobs.push_back(job);
        self.length += 1;
        displaced.map_or(Ok(()), Err)
    }

    /// The largest number of jobs that can come before a job that `owner` adds now.
    pub(super) fn ahead(&self, owner: usize) -> usize {
        let own = self.jobs.get(&owner).map_or(0, VecDeque::len);
        let others = self.jobs.iter().filter(|(other, _)| **other != owner);
        own + others.map(|(_, jobs)| jobs.len().min(own + 1)).sum::<usize>()
    }

    /// The oldest job of the owner whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let owner = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&owner)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.jobs.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        self.length -= usize::from(job.is_some());
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_served_in_turn() {
        let mut queue = Queue::new(10);
        for (owner, job) in [(1, "a"), (1, "b"), (1, "c"), (2, "x"), (3, "y")] {
            assert_eq!(queue.push(owner, job), Ok(()));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["a", "x", "y", "b", "c"]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_job_waits_for_its_owners_jobs_and_as_many_jobs_of_each_other_owner() {
        let mut queue = Queue::new(100);
        for (owner, jobs) in [(1, 40), (2, 3)] {
            for job in 0..jobs {
                assert_eq!(queue.push(owner, job), Ok(()));
            }
        }
        assert_eq!((queue.ahead(1), queue.ahead(2), queue.ahead(3)), (43, 7, 2));
        assert_eq!(queue.push(2, 999), Ok(()));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order.iter().position(|job| *job == 999), Some(7));
    }

    #[test]
    fn one_owner_may_fill_the_queue_but_gives_way_to_others() {
        let mut queue = Queue::new(4);
        for job in 0..4 {
            assert_eq!(queue.push(1, job), Ok(()));
        }
        assert_eq!(queue.push(1, 4), Err(4), "full");
        assert_eq!(queue.push(2, 20), Err(3), "the newest job of the owner with the most jobs gives way");
        assert_eq!(queue.push(3, 30), Err(2));
        assert_eq!(queue.push(2, 21), Err(21), "no owner has more jobs than owner 2 would then have");
        assert_eq!(queue.pop(), Some(0));
        assert_eq!(queue.push(1, 5), Ok(()));
        assert_eq!(queue.push(1, 6), Err(6), "an owner keeps half of the queue while others wait");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [20, 30, 1, 5]);
    }

    #[test]
    fn two_owners_with_long_queues_make_room_for_a_third() {
        let mut queue = Queue::new(8);
        for job in 0..8 {
            assert_eq!(queue.push(1, job), Ok(()));
        }
        for (job, displaced) in [(20, 7), (21, 6), (22, 5), (23, 4)] {
            assert_eq!(queue.push(2, job), Err(displaced));
        }
        let mut others = |owner| (0..9).find(|job| queue.push(owner, owner * 10 + job) == Err(owner * 10 + job));
        assert_eq!(others(3), Some(2), "two jobs, since the others then have three");
        assert_eq!(others(4), Some(2), "two jobs, like all others");
        assert_eq!(others(5), Some(1), "one job, since nobody has more than two");
    }

    #[test]
    fn jobs_without_a_waiting_caller_make_room() {
        let mut queue = Queue::new(4);
        for (owner, job) in [(1, 10), (1, 11), (2, 20), (3, 30)] {
            assert_eq!(queue.push(owner, job), Ok(()));
        }
        queue.retain(|job, ahead| {
            assert!(ahead < 4, "{job}");
            job % 10 == 1
        });
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.push(2, 21), Ok(()));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(11), Some(21), None));
    }

    #[test]
    fn a_closed_queue_still_gives_out_its_jobs() {
        let mut queue = Queue::new(4);
        assert_eq!(queue.push(1, 1), Ok(()));
        queue.close();
        assert_eq!(queue.push(1, 2), Err(2));
        assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
    }
}
