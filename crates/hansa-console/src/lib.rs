//! Embeds the built web UI
