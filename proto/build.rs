//! Generates the Rust of nodewhy.v1 (no protoc needed) and its descriptor set for gRPC reflection.

use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["nodewhy/v1/types.proto", "nodewhy/v1/agent.proto", "nodewhy/v1/query.proto", "nodewhy/v1/alerts.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("nodewhy_v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
