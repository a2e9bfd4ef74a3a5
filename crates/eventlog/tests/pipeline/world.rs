//! One run: tasks, faults, and the schedule that a seed stands for.

use std::collections::BTreeSet;

use crate::edge::Edge;
use crate::ingest::Ingest;
use crate::input::{Config, Mode, NOT_YET, Raw};
use crate::keyed::Keyed;
use crate::log::{Failure, Kind, Place, Shared, TaskId, check};
use crate::mutation::Mutation;
use crate::random::Random;

/// A run that is not over by then hangs.
const LAST_TICK: i64 = 20_000;

enum Task {
    Ingest(Ingest),
    Keyed(Keyed),
    Edge(Edge),
}

pub struct World {
    pub s: Shared,
    pub disturbed: bool,
    random: Random,
    places: Vec<Place>,
    slow: BTreeSet<Place>,
    tasks: Vec<Option<Task>>,
    zombies: Vec<(i64, Kind, TaskId)>,
    starts: Vec<(i64, Place)>,
    weights: Vec<TaskId>,
    last_arrival: i64,
    resumed: bool,
    idle: bool,
}

fn places(s: &Shared) -> Vec<Place> {
    let parts = [
        (Kind::Ingest, s.raw.len()),
        (Kind::One, s.c.events),
        (Kind::Two, s.c.rows),
        (Kind::Scorer, s.c.feats),
        (Kind::Lake, s.c.feats),
    ];
    parts
        .iter()
        .flat_map(|&(kind, parts)| (0..parts).map(move |part| (kind, part)))
        .collect()
}

impl World {
    pub fn new(c: &Config, raw: &[Vec<Raw>], seed: u64, mutation: Option<Mutation>, disturbed: bool) -> Self {
        let mut random = Random::new(seed);
        let s = Shared::new(c, raw, mutation, &mut random);
        let places = places(&s);
        let slow = places.iter().filter(|_| random.chance(200)).copied().collect();
        let arrivals = raw
            .iter()
            .flatten()
            .map(|record| record.arrive)
            .filter(|at| *at != NOT_YET);
        let mut world = Self {
            last_arrival: arrivals.max().unwrap_or(0),
            resumed: c.mode != Mode::Resumed,
            idle: false,
            s,
            disturbed,
            random,
            places: places.clone(),
            slow,
            tasks: Vec::new(),
            zombies: Vec::new(),
            starts: Vec::new(),
            weights: Vec::new(),
        };
        for place in places {
            world.spawn(place);
        }
        world.refresh();
        world
    }

    fn spawn(&mut self, place: Place) {
        let (id, (kind, part)) = (self.tasks.len(), place);
        let task = match kind {
            Kind::Ingest => Task::Ingest(Ingest::start(&mut self.s, id, part)),
            Kind::One | Kind::Two => Task::Keyed(Keyed::start(&mut self.s, kind, part, &mut self.random)),
            Kind::Scorer | Kind::Lake => Task::Edge(Edge::start(id, kind, part)),
        };
        self.tasks.push(Some(task));
        self.s.owner.insert(place, Some(id));
    }

    fn owners(&self, kind: Kind) -> Vec<TaskId> {
        self.s
            .owner
            .iter()
            .filter(|((k, _), _)| *k == kind)
            .filter_map(|(_, id)| *id)
            .collect()
    }

    fn running(&self) -> Vec<TaskId> {
        let owners = self.places.iter().filter_map(|place| self.s.owner[place]);
        owners.chain(self.zombies.iter().map(|(.., id)| *id)).collect()
    }

    fn refresh(&mut self) {
        let slow: Vec<TaskId> = self.slow.iter().filter_map(|place| self.s.owner[place]).collect();
        let weight = |id: &TaskId| if slow.contains(id) { 1 } else { 4 };
        self.weights = self
            .running()
            .iter()
            .flat_map(|id| std::iter::repeat_n(*id, weight(id)))
            .collect();
    }

    fn each_ingest(&mut self, act: impl Fn(&mut Ingest, &mut Shared)) {
        for id in self.owners(Kind::Ingest) {
            if let Some(Task::Ingest(task)) = &mut self.tasks[id] {
                act(task, &mut self.s);
            }
        }
    }

    /// A new generation: owners that stay learn of it, and speak anew to everybody (R7).
    fn rebalance(&mut self) {
        let back = self.s.breaks(Mutation::GenerationGoesBack) && self.s.generation > 2;
        self.s.generation = if back { 1 } else { self.s.generation + 1 };
        self.each_ingest(|task, s| {
            task.generation = s.generation;
            task.speak(s, true);
        });
    }

    fn kill(&mut self, id: TaskId) {
        if let Some(Task::Edge(edge)) = self.tasks[id].take() {
            edge.abort(&mut self.s);
        }
    }

    fn stop(&mut self, place: Place, zombie: bool) {
        let old = self.s.owner.insert(place, None).flatten();
        if let (Some(id), true) = (old, zombie) {
            self.zombies
                .push((self.s.tick + self.random.int(5, 120), place.0, id));
        } else if let Some(id) = old {
            self.kill(id);
        }
        let wait = if zombie { 0 } else { self.random.int(0, 60) };
        self.starts.push((self.s.tick + wait, place));
    }

    fn fault(&mut self) {
        use Kind::{Ingest, Lake, One, Scorer, Two};
        let kind = self
            .random
            .pick(&[Ingest, Ingest, One, One, Two, Scorer, Scorer, Lake]);
        let zombie = self.random.chance(500) && !(kind == Ingest && self.s.c.mode == Mode::Resumed);
        let worker = self.random.below(self.s.c.workers);
        for place in self.places.clone() {
            if place.0 == kind && place.1 % self.s.c.workers == worker && self.s.owner[&place].is_some() {
                self.stop(place, zombie);
            }
        }
        if kind == Ingest && self.random.chance(300) {
            self.rebalance();
        }
        self.refresh();
    }

    fn end_zombies(&mut self, ends: impl Fn(i64, Kind) -> bool) {
        let (over, stay): (Vec<_>, Vec<_>) = self
            .zombies
            .drain(..)
            .partition(|(until, kind, _)| ends(*until, *kind));
        self.zombies = stay;
        for (.., id) in over {
            self.kill(id);
        }
    }

    /// Zombies end, phases begin, successors start.
    fn manage(&mut self) {
        let tick = self.s.tick;
        let before = (self.zombies.len(), self.starts.len());
        self.end_zombies(|until, _| until <= tick);
        let phase = self.s.c.mode == Mode::Phased && tick == self.s.c.phase;
        if phase {
            self.end_zombies(|_, kind| kind == Kind::Ingest);
            for place in self.places.clone() {
                if place.0 == Kind::Ingest && self.s.owner[&place].is_some() {
                    self.stop(place, false);
                }
            }
        }
        let (due, later): (Vec<_>, Vec<_>) = self.starts.drain(..).partition(|(at, _)| *at <= tick);
        self.starts = later;
        if due.iter().any(|(_, place)| place.0 == Kind::Ingest) {
            self.rebalance();
        }
        for (_, place) in due {
            self.spawn(place);
        }
        if phase || before != (self.zombies.len(), self.starts.len()) {
            self.refresh();
        }
    }

    /// The second half of the history comes, once everything is idle.
    fn resume(&mut self) {
        if self.resumed || self.s.tick < self.s.c.phase || self.owners(Kind::Ingest).len() < self.s.raw.len()
        {
            return;
        }
        let is_idle = |id: TaskId| matches!(&self.tasks[id], Some(Task::Ingest(task)) if task.caught_up());
        if self.owners(Kind::Ingest).into_iter().all(is_idle) {
            (self.resumed, self.idle, self.last_arrival) = (true, true, self.s.tick);
            for record in self
                .s
                .raw
                .iter_mut()
                .flatten()
                .filter(|record| record.arrive == NOT_YET)
            {
                record.arrive = self.s.tick;
            }
        }
    }

    /// R6: the first source of an idle worker has read history, and has not yet sent it. The others cease, and all
    /// say so to everybody before. Only a new generation lets more than one stage know in time.
    fn wake(&mut self, first: TaskId) {
        self.idle = false;
        if self.s.breaks(Mutation::IdleSiblingsNotCeased) {
            return;
        }
        for id in self.owners(Kind::Ingest).into_iter().filter(|id| *id != first) {
            if let Some(Task::Ingest(task)) = &mut self.tasks[id] {
                task.cease(&mut self.s);
            }
        }
        if self.s.c.events > 1 && !self.s.breaks(Mutation::SameGeneration) {
            self.rebalance();
        }
        self.each_ingest(|task, s| {
            task.speak(s, false);
            task.out.all(s); // the worker has one producer: what is said first is in the log first
        });
    }

    fn step(&mut self, id: TaskId) -> Result<(), Failure> {
        let before = self.position(id);
        match self.tasks[id].as_mut().expect("only what runs is stepped") {
            Task::Ingest(task) => task.step(&mut self.s, &mut self.random),
            Task::Keyed(task) => task.step(&mut self.s, &mut self.random)?,
            Task::Edge(task) => task.step(&mut self.s, &mut self.random)?,
        }
        if self.idle && self.position(id) > before {
            self.wake(id);
        }
        Ok(())
    }

    fn sweep(&mut self, id: TaskId) -> Result<(), Failure> {
        let before = self.position(id);
        if let Some(Task::Ingest(task)) = &mut self.tasks[id] {
            task.read(&mut self.s, usize::MAX);
        }
        if self.idle && self.position(id) > before {
            self.wake(id);
        }
        match self.tasks[id].as_mut().expect("only what runs is swept") {
            Task::Ingest(task) => task.sweep(&mut self.s),
            Task::Keyed(task) => task.sweep(&mut self.s)?,
            Task::Edge(task) => task.sweep(&mut self.s)?,
        }
        Ok(())
    }

    fn position(&self, id: TaskId) -> Option<usize> {
        if let Some(Task::Ingest(task)) = &self.tasks[id] {
            Some(task.position)
        } else {
            None
        }
    }

    fn pass(&mut self) {
        self.s.tick += 1;
        self.manage();
        self.resume();
    }

    pub fn go(mut self) -> Result<Self, Failure> {
        for _ in 0..if self.disturbed { self.s.c.ticks } else { 0 } {
            if self.random.below(1000) < self.s.c.faults {
                self.fault();
            }
            self.pass();
            if !self.weights.is_empty() {
                let id = self.random.pick(&self.weights);
                self.step(id)?;
            }
        }
        self.calm()?;
        if !self.s.breaks(Mutation::WordsOnce) {
            self.repeat_words()?;
        }
        Ok(self)
    }

    /// No more faults: sweeps until nothing moves.
    fn calm(&mut self) -> Result<(), Failure> {
        let enough = self.s.c.silence + self.s.c.grace + 3;
        let mut calm = enough;
        while calm > 0 {
            self.pass();
            let before = (self.s.size(), self.starts.len(), self.zombies.len());
            for id in self.running() {
                self.sweep(id)?;
            }
            let same = before == (self.s.size(), self.starts.len(), self.zombies.len());
            let all_in = self.resumed && self.s.tick > self.last_arrival.max(self.s.c.phase);
            let over = same && self.starts.is_empty() && self.zombies.is_empty() && all_in;
            calm = if over { calm - 1 } else { enough };
            check(self.s.tick < LAST_TICK, || {
                "(e) the pipeline never becomes idle".to_owned()
            })?;
        }
        Ok(())
    }

    /// R7: words are repeated now and then.
    fn repeat_words(&mut self) -> Result<(), Failure> {
        for kind in [Kind::Ingest, Kind::One, Kind::Two, Kind::Scorer, Kind::Lake] {
            for id in self.owners(kind) {
                match self.tasks[id].as_mut().expect("owners run") {
                    Task::Ingest(task) => task.speak(&mut self.s, true),
                    Task::Keyed(task) => task.speak(&self.s, true),
                    Task::Edge(_) => {}
                }
                self.sweep(id)?;
            }
        }
        Ok(())
    }
}
