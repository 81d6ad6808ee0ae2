//! Why a framework is offered what it is offered, or nothing.

use super::evaluate::Obstacle;
use super::propose::lessen;
use super::quota::{Room, Stop};
use super::{Allocator, Idle, Member, Seat, SeatAt};
use crate::roles::{DEFAULT_WEIGHT, KINDS, Roles, View, numbers, share};
use hansa_model::framework::{FilterInForce, FrameworkExplanation, OfferObstacle, Part, RoleStanding};
use hansa_model::resources::Kind;
use hansa_model::role::{Bound, Totals};
use hansa_model::{AgentId, FrameworkId, RoleName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Host names that are given as examples.
const EXAMPLES: usize = 5;

/// What an explanation rests on.
struct Question<'a, 'm> {
    now: Timestamp,
    roles: &'a Roles,
    capacity: Totals,
    free: Totals,
    machine: &'a dyn Fn(&AgentId) -> Option<Idle<'m>>,
}

impl Allocator {
    /// How many refusals hold now in each role in which there is a framework. Looks at no machine.
    pub fn filters_in_force(&self) -> BTreeMap<RoleName, u64> {
        let mut by_role = BTreeMap::new();
        for (at, seat) in (0..).zip(&self.seats) {
            let Some(seat) = seat else { continue };
            *by_role.entry(seat.role.clone()).or_default() += self.filters.held_by(at, seat.epoch);
        }
        by_role
    }

    /// How a framework stands; None: it is not known. Looks at every idle machine: not for every change. The arguments
    /// are those of [`Allocator::propose`].
    pub fn explain<'m>(
        &self,
        id: &FrameworkId,
        now: Timestamp,
        roles: &Roles,
        capacity: Totals,
        free: Totals,
        machine: impl Fn(&AgentId) -> Option<Idle<'m>>,
    ) -> Option<FrameworkExplanation> {
        let member = self.members.get(id)?;
        let question = Question { now, roles, capacity, free, machine: &machine };
        let mut standings = Vec::new();
        for (role, &at) in &member.seats {
            if let Some(seat) = self.seats[at as usize].as_ref()
                && (member.taker.roles.contains(role) || seat.booked != Totals::default())
            {
                standings.push(self.standing(&question, member, at, seat));
            }
        }
        Some(FrameworkExplanation { framework: id.clone(), active: member.active, roles: standings })
    }

    fn standing(
        &self,
        question: &Question<'_, '_>,
        member: &Member,
        at: SeatAt,
        seat: &Seat,
    ) -> RoleStanding {
        let (roles, role) = (question.roles, &seat.role);
        let node = roles.tree().find(role.as_str()).map(|at| roles.tree().node(at));
        let settings = node.map(|node| &node.state.role);
        let whole = node.map(|node| node.whole).unwrap_or_default();
        let (role_share_ppm, role_dominant) = dominant(whole.allocated(), question.capacity);
        let filters = self.filters.of(question.now, (at, seat.epoch));
        let filters = filters.into_iter().map(|(agent, refusal)| FilterInForce {
            agent,
            parts: refusal.parts,
            until: refusal.until,
        });
        let obstacles = match seat.wants {
            true => self.obstacles(question, at, seat),
            false => Vec::new(),
        };
        let taker = &member.taker;
        RoleStanding {
            role: role.clone(),
            weight_milli: settings.map_or(DEFAULT_WEIGHT, |settings| settings.weight_milli),
            guarantee: settings.map_or(Bound::default(), |settings| settings.guarantee.clone()),
            limit: settings.map_or(Bound::default(), |settings| settings.limit.clone()),
            consumed: whole.consumed(View::Offers),
            role_allocated: whole.allocated(),
            role_share_ppm,
            role_dominant,
            allocated: seat.booked,
            share_ppm: dominant(seat.booked, question.capacity).0,
            suppressed: taker.suppressed.contains(role),
            min_allocatable: taker
                .min_allocatable
                .get(role)
                .unwrap_or(&self.settings.min_allocatable)
                .clone(),
            filters: filters.collect(),
            last_offer: seat.last_offer.clone(),
            words: self.words(question, member, at, seat, &obstacles),
            obstacles,
        }
    }

    /// Why it is not offered the machines that have something idle.
    fn obstacles(&self, question: &Question<'_, '_>, at: SeatAt, seat: &Seat) -> Vec<OfferObstacle> {
        let Question { now, roles, free, machine, .. } = *question;
        let Some(role_at) = seat.role_at else { return Vec::new() };
        let room = Room::of(roles, role_at, free);
        let mut by_words: BTreeMap<String, (u32, Vec<String>)> = BTreeMap::new();
        let agents: BTreeSet<&AgentId> = self.resting.keys().chain(&self.causes.machines).collect();
        for agent in agents {
            let Some(idle) = machine(agent).filter(|idle| !idle.parts.is_empty()) else { continue };
            let mut left = idle.parts.clone();
            lessen(&mut left, &self.held_on(roles, agent));
            let refusals = self.filters.on(agent);
            let ask = |left: &[Part]| {
                self.evaluate_alone(now, &idle, refusals, left, &room, (at, seat)).map(|_| ())
            };
            let words = match (ask(&left), ask(&idle.parts)) {
                (Err(_), Ok(())) => {
                    "they are left for a moment to services, whose role is further below its share".to_owned()
                }
                (Err(obstacle), _) => words_of(&obstacle, roles),
                (Ok(()), _) => "they are about to be offered".to_owned(),
            };
            let (machines, examples) = by_words.entry(words).or_default();
            *machines += 1;
            if examples.len() < EXAMPLES {
                examples.push(idle.hostname.to_owned());
            }
        }
        let group = |(words, (machines, examples))| OfferObstacle { machines, examples, words };
        let mut groups: Vec<OfferObstacle> = by_words.into_iter().map(group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.machines));
        groups
    }

    fn words(
        &self,
        question: &Question<'_, '_>,
        member: &Member,
        at: SeatAt,
        seat: &Seat,
        obstacles: &[OfferObstacle],
    ) -> String {
        if !member.active {
            return "it is not connected".into();
        }
        if !member.taker.roles.contains(&seat.role) {
            return "it has left the role".into();
        }
        if !seat.wants {
            return "it asked for no offers in this role (suppressed)".into();
        }
        if let [first, rest @ ..] = obstacles {
            let mut words = format!("{}: {}", machines(first.machines), first.words);
            for group in rest {
                words += &format!("; {}: {}", machines(group.machines), group.words);
            }
            return words;
        }
        match self.first_of_all(question) {
            Some((first, _)) if first == at => {
                "nothing is idle that is not offered; what becomes idle goes to it first".into()
            }
            Some((_, role)) if *role == seat.role => {
                "nothing is idle that is not offered; another framework of the role has less and comes first"
                    .into()
            }
            Some((_, role)) => {
                format!(
                    "nothing is idle that is not offered; role {role} is further below its share and comes first"
                )
            }
            None => "nothing is idle that is not offered".into(),
        }
    }

    /// Who comes first now.
    fn first_of_all(&self, question: &Question<'_, '_>) -> Option<(SeatAt, &RoleName)> {
        let path = |at, seat: &Seat| Some(self.order.path(question.roles, seat.role_at?, at));
        let seats = self.wanting().filter_map(|(at, seat)| Some((path(at, seat)?, at, &seat.role)));
        seats.min().map(|(_, at, role)| (at, role))
    }
}

/// The largest share, in millionths, and of which kind.
fn dominant(totals: Totals, capacity: Totals) -> (u64, Option<Kind>) {
    let ppm = |kind: usize| {
        let (has, all) = (numbers(totals)[kind], numbers(capacity)[kind]);
        u64::try_from(u128::from(has) * 1_000_000 / u128::from(all.max(1))).unwrap_or(u64::MAX)
    };
    if share(totals, capacity, DEFAULT_WEIGHT) == 0 {
        return (0, None);
    }
    let largest = (0..KINDS.len()).rev().max_by_key(|&kind| ppm(kind));
    largest.map_or((0, None), |kind| (ppm(kind), Some(KINDS[kind])))
}

fn machines(count: u32) -> String {
    if count == 1 { "1 idle machine".into() } else { format!("{count} idle machines") }
}

fn words_of(obstacle: &Obstacle, roles: &Roles) -> String {
    match obstacle {
        Obstacle::Gpus => "they have GPUs, which the framework does not say that it knows of".into(),
        Obstacle::Region => {
            "they are in another region, and the framework does not say that it knows of regions".into()
        }
        Obstacle::Constraint => "an offer constraint of the framework excludes them".into(),
        Obstacle::Reserved => "what is idle there is reserved for other roles".into(),
        Obstacle::Stopped(Stop::Limit(at, kind)) => {
            format!("the limit of role {} on {kind} is reached", roles.tree().node(*at).state.role.name)
        }
        Obstacle::Stopped(Stop::Headroom(kind)) => {
            format!("the idle {kind} is kept for what other roles are guaranteed")
        }
        Obstacle::TooLittle => "less is idle there than the framework's smallest offer".into(),
        Obstacle::Refused(until) => format!("the framework refused as much until {until}"),
    }
}
