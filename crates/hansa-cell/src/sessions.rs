//! The master's end of the agent streams: who is on which, and what may pass.
//!
//! A stream begins with a hello. An agent has one stream: a newer one replaces the older, whose messages count no more.
//! Which one is newer the agent says, by [`Generation`]: a hello that was held up on its way tells what the agent held
//! then, and taking it for the present would declare dead what was launched since.

use crate::cell::SessionId;
use hansa_link::{ToMaster, ToMasterBody};
use hansa_model::agent::{Generation, Hello};
use hansa_model::planted::{Bug, planted};
use hansa_model::{AgentId, ClusterId, Term};
use std::collections::BTreeMap;

/// All open streams.
#[derive(Debug, Default)]
pub struct Sessions {
    agents: BTreeMap<SessionId, Option<AgentId>>,
    newest: BTreeMap<AgentId, SessionId>,
    /// The newest stream that each agent has said hello on, open or not.
    greeted: BTreeMap<AgentId, Generation>,
}

/// What to do with a message.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// It opens the stream; `replaced` is the agent's older stream, to be closed.
    Hello {
        /// Who.
        agent: AgentId,
        /// What it says.
        hello: Box<Hello>,
        /// Its older stream.
        replaced: Option<SessionId>,
    },
    /// From a known agent.
    Message(AgentId, ToMasterBody),
    /// It has no business here; tell it why and close.
    Refuse(String),
    /// From a stream that counts no more.
    Ignore,
}

impl Sessions {
    /// A stream was opened.
    pub fn opened(&mut self, session: SessionId) {
        self.agents.insert(session, None);
    }

    /// A stream ended. The agent, if this was its newest.
    pub fn closed(&mut self, session: SessionId) -> Option<AgentId> {
        let agent = self.agents.remove(&session)??;
        if self.newest.get(&agent) == Some(&session) {
            self.newest.remove(&agent);
            return Some(agent);
        }
        None
    }

    /// The stream that messages for the agent go to.
    pub fn of(&self, agent: &AgentId) -> Option<SessionId> {
        self.newest.get(agent).copied()
    }

    /// All streams with an agent on them.
    pub fn all(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.newest.values().copied()
    }

    /// Judges a message.
    pub fn judge(
        &mut self,
        session: SessionId,
        message: ToMaster,
        cluster: &ClusterId,
        term: Term,
    ) -> Verdict {
        let Some(known) = self.agents.get(&session) else {
            return Verdict::Ignore;
        };
        if message.cluster.as_ref().is_some_and(|theirs| theirs != cluster) {
            return Verdict::Refuse(format!(
                "the agent belongs to another cluster than {cluster}; give it an empty data directory to move it"
            ));
        }
        if message.term > term {
            return Verdict::Refuse(format!(
                "this master's term {term} is over: the agent has seen {}; if this master's store is an older copy, its clock \
                 is behind that of the time before: set it right and start the master again",
                message.term
            ));
        }
        match (known, message.body) {
            (None, ToMasterBody::Hello(mut hello)) => {
                let Some(agent) = hello.agent.clone() else {
                    return Verdict::Refuse("the hello names no agent".into());
                };
                let generation = std::mem::take(&mut hello.generation);
                let greeted = self.greeted.entry(agent.clone()).or_default();
                if generation < *greeted && !planted(Bug::OldHelloTaken) {
                    return Verdict::Refuse(format!("agent {agent} has said hello on a newer stream"));
                }
                *greeted = generation;
                self.agents.insert(session, Some(agent.clone()));
                let replaced = self.newest.insert(agent.clone(), session);
                Verdict::Hello { agent, hello, replaced }
            }
            (Some(agent), ToMasterBody::Hello(_)) => {
                Verdict::Refuse(format!("agent {agent} said hello twice"))
            }
            (None, _) => Verdict::Refuse("a stream begins with a hello".into()),
            (Some(agent), body) if self.newest.get(agent) == Some(&session) => {
                Verdict::Message(agent.clone(), body)
            }
            (Some(_), _) => Verdict::Ignore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(agent: &str) -> ToMaster {
        let hello = Hello { agent: Some(AgentId::from(agent)), ..Hello::default() };
        ToMaster { cluster: None, term: Term(1), body: ToMasterBody::Hello(Box::new(hello)) }
    }

    fn beat() -> ToMaster {
        ToMaster { cluster: Some("c".into()), term: Term(1), body: ToMasterBody::Heartbeat { number: 1 } }
    }

    #[test]
    fn the_newest_stream_of_an_agent_counts() {
        let (mut sessions, cluster) = (Sessions::default(), ClusterId::from("c"));
        sessions.opened(1);
        assert!(matches!(sessions.judge(1, beat(), &cluster, Term(1)), Verdict::Refuse(_)));
        assert!(matches!(
            sessions.judge(1, hello("a"), &cluster, Term(1)),
            Verdict::Hello { replaced: None, .. }
        ));
        sessions.opened(2);
        assert!(matches!(
            sessions.judge(2, hello("a"), &cluster, Term(1)),
            Verdict::Hello { replaced: Some(1), .. }
        ));
        assert_eq!(sessions.judge(1, beat(), &cluster, Term(1)), Verdict::Ignore);
        assert!(matches!(sessions.judge(2, beat(), &cluster, Term(1)), Verdict::Message(..)));
        assert_eq!(sessions.closed(1), None, "the older stream's end is no news");
        assert_eq!(sessions.closed(2), Some(AgentId::from("a")));
        assert_eq!(sessions.judge(2, beat(), &cluster, Term(1)), Verdict::Ignore);
    }

    #[test]
    fn a_hello_that_was_held_up_is_no_news() {
        let (mut sessions, cluster) = (Sessions::default(), ClusterId::from("c"));
        let hello = |process, stream| {
            let mut hello = hello("a");
            if let ToMasterBody::Hello(hello) = &mut hello.body {
                hello.generation = Generation { process, stream };
            }
            hello
        };
        (1..=5).for_each(|session| sessions.opened(session));
        let taken = |verdict| matches!(verdict, Verdict::Hello { .. });
        assert!(taken(sessions.judge(1, hello(7, 2), &cluster, Term(1))));
        assert!(matches!(sessions.judge(2, hello(7, 1), &cluster, Term(1)), Verdict::Refuse(_)));
        assert_eq!(sessions.of(&AgentId::from("a")), Some(1), "the newer stream stays");
        sessions.closed(1);
        assert!(matches!(sessions.judge(3, hello(6, 9), &cluster, Term(1)), Verdict::Refuse(_)));
        assert!(taken(sessions.judge(4, hello(7, 3), &cluster, Term(1))));
        assert!(taken(sessions.judge(5, hello(8, 1), &cluster, Term(1))), "a new process");
    }

    #[test]
    fn strangers_are_refused() {
        let (mut sessions, cluster) = (Sessions::default(), ClusterId::from("c"));
        sessions.opened(1);
        let other = ToMaster { cluster: Some("d".into()), ..hello("a") };
        assert!(matches!(sessions.judge(1, other, &cluster, Term(1)), Verdict::Refuse(_)));
        let later = ToMaster { term: Term(2), ..hello("a") };
        assert!(matches!(sessions.judge(1, later, &cluster, Term(1)), Verdict::Refuse(_)));
        assert_eq!(sessions.judge(9, hello("a"), &cluster, Term(1)), Verdict::Ignore);
    }
}
