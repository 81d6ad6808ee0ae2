//! A message kept as it came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// An encoded message (Mesos' protobuf) that is passed on and shown, and that nothing here is decided by. Cloning copies
/// a pointer. As JSON it is base64.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Raw(Arc<[u8]>);

impl Raw {
    /// Keeps the bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self::new).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_json() {
        let raw = Raw::new(vec![0, 255, 7]);
        let text = serde_json::to_string(&raw).unwrap();
        assert_eq!(text, "\"AP8H\"");
        assert_eq!(serde_json::from_str::<Raw>(&text).unwrap(), raw);
        assert!(serde_json::from_str::<Raw>("\"?\"").is_err());
    }
}
