//! What is shown, and what events say.
