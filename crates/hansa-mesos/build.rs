//! Compiles `proto/` into Rust types and into one descriptor set that the JSON codec reads. Pure Rust: no `protoc`.

use prost::Message;
use prost_types::DescriptorProto;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The protocols; what they import comes along.
const ROOTS: &[&str] = &[
    "mesos/v1/scheduler/scheduler.proto",
    "mesos/v1/executor/executor.proto",
    "mesos/v1/master/master.proto",
    "mesos/v1/agent/agent.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut set = protox::compile(ROOTS, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut types = set.clone();
    types.file.iter_mut().flat_map(|file| &mut file.message_type).for_each(undeprecate);
    prost_build::Config::new().out_dir(&out).btree_map(["."]).enable_type_names().compile_fds(types)?;
    // Comments became documentation of the types; at run time nobody reads them.
    for file in &mut set.file {
        file.source_code_info = None;
    }
    fs::write(Path::new(&out).join("descriptors.bin"), set.encode_to_vec())?;
    Ok(())
}

/// What Mesos calls deprecated is what most of its clients still speak: nobody here is to be warned of it. (The codec does
/// have to know: it writes no defaults of such fields.)
fn undeprecate(message: &mut DescriptorProto) {
    message
        .field
        .iter_mut()
        .filter_map(|field| field.options.as_mut())
        .for_each(|options| options.deprecated = None);
    message.nested_type.iter_mut().for_each(undeprecate);
}
