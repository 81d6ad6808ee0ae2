//! Both ends of the session.
