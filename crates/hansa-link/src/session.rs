//! The agent's end of the session: when to open a stream, what to say first, when a silent master is given up, which
//! cluster and term to obey, and up to when the agent's tasks may run without news from the master.
//!
//! Pure: time comes in, [`Do`]s go out. What a hello contains and what a launch means is the agent core's (`hansa-node`),
//! which owns one [`AgentEnd`]; the master's end lives with the cell.
//!
//! - Streams are numbered; whatever comes from another than the newest is ignored.
//! - The hello is the stream's heartbeat 0; the welcome answers it.
//! - A master of another cluster or of a lower term than one already seen is not obeyed: its stream is closed.
//! - **Stop deadline.** Every answered heartbeat proves that the master had contact *when the heartbeat was sent*, not when
//!   the answer came. So deadlines are extended from the sending time only, and the master, which counts from the
//!   receiving time, never gives a task's instance away earlier than the shim ends it.

use crate::message::{ToAgent, ToAgentBody, ToMaster, ToMasterBody};
use hansa_model::{ClusterId, Term, Timestamp};
use std::collections::VecDeque;

/// How long things take; all in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Before the second attempt to connect; doubles with each further one.
    pub first_delay_ms: u64,
    /// Never longer between attempts. Well under the five seconds after which an agent counts as unreachable.
    pub max_delay_ms: u64,
    /// After a refusal.
    pub refused_delay_ms: u64,
    /// An attempt to connect that takes longer has failed; so has a hello that is not answered for so long.
    pub connect_ms: u64,
    /// Heartbeats without an answer after which the stream is given up.
    pub missed_heartbeats: u64,
    /// Tasks end so long after the last answered heartbeat was sent; None: they run on.
    pub stop_deadline_ms: Option<u64>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_delay_ms: 50,
            max_delay_ms: 1_000,
            refused_delay_ms: 3_000,
            connect_ms: 3_000,
            missed_heartbeats: 3,
            stop_deadline_ms: None,
        }
    }
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Do {
    /// Connect to the master; report with this number.
    Open {
        /// The stream's number.
        stream: u64,
    },
    /// Drop the stream (or the attempt).
    Close {
        /// Which.
        stream: u64,
    },
    /// Send the hello.
    Hello,
    /// Send this heartbeat.
    Heartbeat {
        /// Its number.
        number: u64,
    },
    /// Store durably, before anything else is done.
    Remember {
        /// The cluster that the agent now belongs to.
        cluster: ClusterId,
        /// The highest term seen.
        term: Term,
    },
    /// Tasks may now run until then without further news.
    ExtendDeadline {
        /// The time, on the clock that `now` is read from.
        until: Timestamp,
    },
    /// Tell the operator.
    Warn(String),
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// No stream; the next attempt is due at this time.
    Waiting { until: Timestamp },
    /// Being opened since.
    Opening { since: Timestamp },
    /// Open; the hello is sent and not answered.
    Greeting { since: Timestamp },
    /// Welcomed.
    Live { heartbeat_ms: u64, heard_at: Timestamp, beat_at: Timestamp, last_number: u64 },
    /// The agent leaves; no further attempts.
    Over,
}

/// The agent's end.
#[derive(Clone, Debug)]
pub struct AgentEnd {
    timing: Timing,
    /// Spreads the attempts of many agents; from the agent's id.
    salt: u64,
    cluster: Option<ClusterId>,
    term: Term,
    /// The newest stream.
    stream: u64,
    /// Attempts since the last welcome.
    failures: u32,
    state: State,
    /// Heartbeats sent on this stream and not answered, with their sending times; the hello is number 0.
    sent: VecDeque<(u64, Timestamp)>,
    deadline: Option<Timestamp>,
}

/// More unanswered heartbeats than any sane timing produces.
const MAX_SENT: usize = 64;

impl AgentEnd {
    /// A session that is due to connect at once. `cluster` and `term` are what was remembered.
    pub fn new(timing: Timing, agent: &str, cluster: Option<ClusterId>, term: Term) -> Self {
        Self {
            timing,
            salt: mix(agent.bytes().fold(0, |sum, byte| mix(sum ^ u64::from(byte)))),
            cluster,
            term,
            stream: 0,
            failures: 0,
            state: State::Waiting { until: Timestamp(0) },
            sent: VecDeque::new(),
            deadline: None,
        }
    }

    /// Whether the master has welcomed the agent on the present stream.
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// Whether the present stream has begun with a hello: what is sent now comes after it.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Greeting { .. } | State::Live { .. })
    }

    /// The number of the newest stream; 0 before the first.
    pub fn stream(&self) -> u64 {
        self.stream
    }

    /// The cluster the agent belongs to.
    pub fn cluster(&self) -> Option<&ClusterId> {
        self.cluster.as_ref()
    }

    /// The highest term seen.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Up to when tasks may run without further news; None before the first welcome of this process, or always.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Puts a message into its envelope.
    pub fn envelope(&self, body: ToMasterBody) -> ToMaster {
        ToMaster { cluster: self.cluster.clone(), term: self.term, body }
    }

    /// When [`AgentEnd::tick`] is next due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Opening { since } | State::Greeting { since } => Some(since + self.timing.connect_ms),
            State::Live { heartbeat_ms, heard_at, beat_at, .. } => {
                Some(beat_at.min(heard_at + self.patience(heartbeat_ms)))
            }
            State::Over => None,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Do> {
        match self.state.clone() {
            State::Waiting { until } if now >= until => {
                self.stream += 1;
                self.state = State::Opening { since: now };
                vec![Do::Open { stream: self.stream }]
            }
            State::Opening { since } if now >= since + self.timing.connect_ms => {
                self.give_up(now, "the master does not accept the connection in time".into())
            }
            State::Greeting { since } if now >= since + self.timing.connect_ms => {
                self.give_up(now, "the master does not answer the hello".into())
            }
            State::Live { heartbeat_ms, heard_at, .. } if now >= heard_at + self.patience(heartbeat_ms) => {
                self.give_up(now, format!("nothing heard from the master for {} ms", now.since(heard_at)))
            }
            State::Live { heartbeat_ms, heard_at, beat_at, last_number } if now >= beat_at => {
                let number = last_number + 1;
                self.state =
                    State::Live { heartbeat_ms, heard_at, beat_at: now + heartbeat_ms, last_number: number };
                self.note_sent(number, now);
                vec![Do::Heartbeat { number }]
            }
            _ => Vec::new(),
        }
    }

    /// The stream is open.
    pub fn opened(&mut self, now: Timestamp, stream: u64) -> Vec<Do> {
        if stream != self.stream || !matches!(self.state, State::Opening { .. }) {
            return vec![Do::Close { stream }];
        }
        self.state = State::Greeting { since: now };
        self.sent.clear();
        self.note_sent(0, now);
        vec![Do::Hello]
    }

    /// The stream broke, or could not be opened.
    pub fn closed(&mut self, now: Timestamp, stream: u64, reason: &str) -> Vec<Do> {
        if stream != self.stream || matches!(self.state, State::Waiting { .. } | State::Over) {
            return Vec::new();
        }
        let was_live = self.is_live();
        self.wait(now, None);
        // A master that is away is tried every second; saying so once in a while is enough.
        if was_live || self.failures.is_power_of_two() {
            vec![Do::Warn(format!("no connection to the master: {reason}"))]
        } else {
            Vec::new()
        }
    }

    /// A message came. True: the core may obey its body. The session's own messages (welcome, refusal, answers to
    /// heartbeats) are dealt with here and passed on all the same.
    pub fn heard(&mut self, now: Timestamp, stream: u64, message: &ToAgent) -> (bool, Vec<Do>) {
        if stream != self.stream || !matches!(self.state, State::Greeting { .. } | State::Live { .. }) {
            return (false, Vec::new());
        }
        if let Some(reason) = self.refuses(message) {
            return (false, self.leave_stream(now, reason, self.timing.refused_delay_ms));
        }
        let mut todo = Vec::new();
        if let ToAgentBody::Refused { reason } = &message.body {
            let reason = format!("the master refuses this agent: {reason}");
            return (false, self.leave_stream(now, reason, self.timing.refused_delay_ms));
        }
        if matches!(self.state, State::Greeting { .. })
            && !matches!(message.body, ToAgentBody::Welcome { .. })
        {
            // Only a welcome makes a stranger the master.
            return (false, Vec::new());
        }
        if self.cluster.as_ref() != Some(&message.cluster) || self.term < message.term {
            self.cluster = Some(message.cluster.clone());
            self.term = message.term;
            todo.push(Do::Remember { cluster: message.cluster.clone(), term: message.term });
        }
        match (&mut self.state, &message.body) {
            (State::Greeting { .. }, ToAgentBody::Welcome { heartbeat_ms }) => {
                let heartbeat_ms = (*heartbeat_ms).clamp(50, 60_000);
                self.failures = 0;
                self.state =
                    State::Live { heartbeat_ms, heard_at: now, beat_at: now + heartbeat_ms, last_number: 0 };
                todo.extend(self.answered(0));
            }
            (State::Live { heard_at, .. }, body) => {
                *heard_at = now;
                if let ToAgentBody::HeartbeatSeen { number } = body {
                    todo.extend(self.answered(*number));
                }
            }
            _ => {}
        }
        (true, todo)
    }

    /// The agent ends on purpose: nothing is opened any more.
    pub fn leave(&mut self) -> Vec<Do> {
        let open = matches!(self.state, State::Opening { .. } | State::Greeting { .. } | State::Live { .. });
        self.state = State::Over;
        if open { vec![Do::Close { stream: self.stream }] } else { Vec::new() }
    }

    /// Why this message is not from the master to obey.
    fn refuses(&self, message: &ToAgent) -> Option<String> {
        match &self.cluster {
            Some(mine) if *mine != message.cluster => {
                return Some(format!(
                    "this agent belongs to cluster {mine}, the master to cluster {}: use another data directory to join it",
                    message.cluster
                ));
            }
            _ => {}
        }
        (message.term < self.term)
            .then(|| format!("the master's term {} is over, term {} has been seen", message.term, self.term))
    }

    fn patience(&self, heartbeat_ms: u64) -> u64 {
        heartbeat_ms.saturating_mul(self.timing.missed_heartbeats).max(1_000)
    }

    fn note_sent(&mut self, number: u64, now: Timestamp) {
        if self.sent.len() == MAX_SENT {
            self.sent.pop_front();
        }
        self.sent.push_back((number, now));
    }

    /// A heartbeat was answered: the deadline counts from its sending.
    fn answered(&mut self, number: u64) -> Option<Do> {
        let mut sent_at = None;
        while let Some(&(oldest, at)) = self.sent.front()
            && oldest <= number
        {
            self.sent.pop_front();
            // An answer to something never sent proves nothing.
            sent_at = (oldest == number).then_some(at);
        }
        let until = sent_at? + self.timing.stop_deadline_ms?;
        if self.deadline.is_some_and(|deadline| deadline >= until) {
            return None;
        }
        self.deadline = Some(until);
        Some(Do::ExtendDeadline { until })
    }

    fn give_up(&mut self, now: Timestamp, reason: String) -> Vec<Do> {
        let stream = self.stream;
        self.wait(now, None);
        vec![Do::Close { stream }, Do::Warn(reason)]
    }

    fn leave_stream(&mut self, now: Timestamp, reason: String, delay_ms: u64) -> Vec<Do> {
        let stream = self.stream;
        self.wait(now, Some(delay_ms));
        vec![Do::Close { stream }, Do::Warn(reason)]
    }

    /// Waits for the next attempt: `delay_ms`, or the back-off's, of which up to half is spread by the agent's id.
    fn wait(&mut self, now: Timestamp, delay_ms: Option<u64>) {
        let doubled = self.timing.first_delay_ms.saturating_mul(1 << self.failures.min(16));
        let delay = delay_ms.unwrap_or(doubled.min(self.timing.max_delay_ms)).max(1);
        self.failures = self.failures.saturating_add(1);
        let spread = mix(self.salt ^ self.stream) % (delay / 2 + 1);
        self.sent.clear();
        self.state = State::Waiting { until: now + (delay - spread) };
    }
}

/// Spreads bits (the finalizer of splitmix64's constants; quality matters little here).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_master(cluster: &str, term: u64, body: ToAgentBody) -> ToAgent {
        ToAgent { cluster: ClusterId::from(cluster), term: Term(term), body }
    }

    fn welcome(cluster: &str, term: u64) -> ToAgent {
        from_master(cluster, term, ToAgentBody::Welcome { heartbeat_ms: 1_000 })
    }

    fn end() -> AgentEnd {
        let timing = Timing { stop_deadline_ms: Some(10_000), ..Timing::default() };
        AgentEnd::new(timing, "a1", None, Term(0))
    }

    /// An end that was welcomed at `at` on stream 1 by cluster c's term 5; its hello went out 10 ms before.
    fn live(at: u64) -> AgentEnd {
        let mut end = end();
        assert_eq!(end.tick(Timestamp(at - 20)), [Do::Open { stream: 1 }]);
        assert_eq!(end.opened(Timestamp(at - 10), 1), [Do::Hello]);
        let (obey, todo) = end.heard(Timestamp(at), 1, &welcome("c", 5));
        assert!(obey);
        assert_eq!(
            todo,
            [
                Do::Remember { cluster: ClusterId::from("c"), term: Term(5) },
                Do::ExtendDeadline { until: Timestamp(at - 10 + 10_000) },
            ]
        );
        end
    }

    #[test]
    fn deadlines_count_from_the_sending_of_what_was_answered() {
        let mut end = live(1_000);
        assert_eq!(end.next_deadline(), Some(Timestamp(2_000)));
        assert_eq!(end.tick(Timestamp(2_000)), [Do::Heartbeat { number: 1 }]);
        assert_eq!(end.tick(Timestamp(3_000)), [Do::Heartbeat { number: 2 }]);
        let seen = |number| from_master("c", 5, ToAgentBody::HeartbeatSeen { number });
        assert_eq!(
            end.heard(Timestamp(3_500), 1, &seen(1)).1,
            [Do::ExtendDeadline { until: Timestamp(12_000) }],
            "sent at 2,000, however late the answer"
        );
        assert_eq!(end.heard(Timestamp(3_600), 1, &seen(1)).1, [], "an answer twice proves nothing new");
        assert_eq!(end.heard(Timestamp(3_600), 1, &seen(9)).1, [], "nor does one to nothing");
        assert_eq!(end.deadline(), Some(Timestamp(12_000)));
    }

    #[test]
    fn other_clusters_and_lower_terms_are_not_obeyed() {
        for (message, words) in [(welcome("d", 9), "cluster d"), (welcome("c", 4), "term 4 is over")] {
            let mut end = live(1_000);
            let (obey, todo) = end.heard(Timestamp(1_500), 1, &message);
            assert!(!obey);
            assert!(
                matches!(todo.as_slice(), [Do::Close { stream: 1 }, Do::Warn(text)] if text.contains(words)),
                "{todo:?}"
            );
            assert!(!end.is_live());
            assert_eq!((end.cluster(), end.term()), (Some(&ClusterId::from("c")), Term(5)));
        }
        let mut end = live(1_000);
        let (obey, todo) =
            end.heard(Timestamp(1_500), 1, &from_master("c", 6, ToAgentBody::Watch { on: true }));
        assert!(obey, "a higher term is followed");
        assert_eq!(todo, [Do::Remember { cluster: ClusterId::from("c"), term: Term(6) }]);
    }

    #[test]
    fn nothing_is_obeyed_before_the_welcome() {
        let mut end = end();
        end.tick(Timestamp(0));
        end.opened(Timestamp(1), 1);
        let early = from_master("x", 3, ToAgentBody::Watch { on: true });
        assert_eq!(end.heard(Timestamp(2), 1, &early), (false, vec![]));
        assert_eq!(end.cluster(), None);
        let refused = from_master("x", 3, ToAgentBody::Refused { reason: "not admitted".into() });
        let (obey, todo) = end.heard(Timestamp(3), 1, &refused);
        assert!(!obey && matches!(&todo[1], Do::Warn(text) if text.contains("not admitted")));
        assert_eq!(end.cluster(), None, "a refusal makes nobody the master");
        assert!(
            end.next_deadline().is_some_and(|at| at >= Timestamp(1_500)),
            "and it is not asked at once again"
        );
    }

    #[test]
    fn silence_ends_a_stream_and_attempts_slow_down_but_never_stop() {
        let mut end = live(1_000);
        let mut now = Timestamp(1_000);
        while end.is_live() {
            now = end.next_deadline().unwrap();
            end.tick(now);
        }
        assert_eq!(now, Timestamp(4_000), "three heartbeats of a second");
        let mut delays = Vec::new();
        for _ in 0..12 {
            let at = end.next_deadline().unwrap();
            delays.push(at.since(now));
            now = at;
            let [Do::Open { stream }] = end.tick(now)[..] else { panic!("an attempt is due") };
            end.closed(now, stream, "connection refused");
        }
        assert!(delays[0] <= 50, "{delays:?}");
        assert!(delays.iter().all(|delay| *delay <= 1_000), "{delays:?}");
        assert!(delays[10] >= 500, "{delays:?}");
        assert!(delays[6..].windows(2).any(|pair| pair[0] != pair[1]), "spread: {delays:?}");
    }

    #[test]
    fn only_the_newest_stream_counts() {
        let mut end = live(1_000);
        assert_eq!(end.closed(Timestamp(1_100), 0, "old"), []);
        assert!(end.is_live());
        assert_eq!(end.opened(Timestamp(1_100), 7), [Do::Close { stream: 7 }]);
        assert_eq!(end.heard(Timestamp(1_100), 7, &welcome("c", 9)), (false, vec![]));
        assert_eq!(end.closed(Timestamp(1_200), 1, "reset").len(), 1);
        assert!(!end.is_live());
        assert_eq!(end.heard(Timestamp(1_300), 1, &welcome("c", 9)), (false, vec![]), "too late");
    }

    #[test]
    fn a_hello_without_answer_is_given_up() {
        let mut end = end();
        end.tick(Timestamp(0));
        assert_eq!(end.next_deadline(), Some(Timestamp(3_000)));
        end.opened(Timestamp(100), 1);
        assert_eq!(end.tick(Timestamp(3_000)), []);
        assert!(matches!(end.tick(Timestamp(3_100))[..], [Do::Close { stream: 1 }, Do::Warn(_)]));
    }

    #[test]
    fn leaving_is_final() {
        let mut end = live(1_000);
        assert_eq!(end.leave(), [Do::Close { stream: 1 }]);
        assert_eq!(end.next_deadline(), None);
        assert_eq!(end.tick(Timestamp(99_999)), []);
        assert_eq!(end.closed(Timestamp(99_999), 1, "gone"), []);
    }
}
