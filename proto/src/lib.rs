//! The wire of nodewhy: generated from the `.proto` files beside this crate. No logic.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code; the .proto files carry the docs")]

/// Package `nodewhy.v1`.
pub mod v1 {
    tonic::include_proto!("nodewhy.v1");
    /// Encoded descriptor set, for gRPC reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/nodewhy_v1.bin"));
}
