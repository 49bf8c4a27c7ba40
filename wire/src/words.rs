//! Enumerations.

use nodewhy_diagnosis::model::{Layer, Severity, TransitionKind, Verdict};
use nodewhy_proto::v1 as pb;

use crate::WireError;

macro_rules! words {
    ($core:ident, $field:literal, $to:ident, $from:ident: $($word:ident)*) => {
        #[doc = concat!("A ", $field, " for the wire.")]
        pub fn $to(value: $core) -> i32 {
            match value { $($core::$word => pb::$core::$word as i32),* }
        }

        #[doc = concat!("A ", $field, " from the wire.")]
        ///
        /// # Errors
        /// [`WireError::Enumeration`] for a number that stands for none, 0 among them.
        pub fn $from(value: i32) -> Result<$core, WireError> {
            match pb::$core::try_from(value) {
                $(Ok(pb::$core::$word) => Ok($core::$word),)*
                Ok(pb::$core::Unspecified) | Err(_) => Err(WireError::Enumeration { field: $field, value }),
            }
        }
    };
}

words!(Verdict, "verdict", verdict_to_wire, verdict_from_wire: Healthy Degraded NotReady Unknown);
words!(Severity, "severity", severity_to_wire, severity_from_wire: Info Warning Critical);
words!(Layer, "layer", layer_to_wire, layer_from_wire: Hardware Kernel Storage Network Time Runtime Kubelet ControlPlane Workload);
words!(TransitionKind, "kind", transition_kind_to_wire, transition_kind_from_wire: Opened Confirmed Closed);
