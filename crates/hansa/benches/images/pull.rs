//! Pull and unpacking of a layer of 50 MB, beside skopeo, which pulls, and umoci, which unpacks.

use crate::images::archive::Archive;
use crate::images::image::TestImage;
use crate::others::timed;
use crate::packages::Shop;
use crate::print;
use crate::start::sleeper;
use crate::stream::{Stream, post};
use crate::support::Cluster;
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 5;
/// Of each file, half of which does not compress: 100 of them make 50 MB to transfer, and 100 MB on the disk.
const FILE: usize = 1_000_000;
const FILES: usize = 100;

pub async fn run(shop: &Shop) {
    println!(
        "\n-- pull: an image whose layer is 50 MB, 100 MB unpacked; {ROUNDS} rounds, another image in each"
    );
    let cluster = Cluster::start(1).await;
    let master = &cluster.http.base;
    let mut stream = Stream::open(master);
    let (mut ours, mut pulls, mut unpacks, mut both) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("large:{round}");
        shop.stock(&name, &large(round)).await;
        let id = format!("/large{round}");
        let mut app = sleeper(&id, false);
        app["container"]["docker"]["image"] = json!(crate::apps::image(&name));
        let begun = Instant::now();
        let posted = post(master, &app);
        stream.running(&id, 1);
        ours.push(begun.elapsed());
        posted.taken();

        let folder = cluster.directory.join(format!("layout{round}"));
        let layout = format!("{}:1", folder.display());
        let mut pull = Command::new("skopeo");
        pull.args([
            "copy",
            "--quiet",
            "--src-tls-verify=false",
            &format!("docker://{}", crate::apps::image(&name)),
        ]);
        let pulled = timed(pull.arg(format!("oci:{layout}")));
        let mut unpack = Command::new("umoci");
        unpack.args(["unpack", "--image", &layout]).arg(cluster.directory.join(format!("bundle{round}")));
        let unpacked = pulled.and_then(|_| timed(&mut unpack));
        pulls.extend(pulled);
        unpacks.extend(unpacked);
        both.extend(pulled.zip(unpacked).map(|(pulled, unpacked)| pulled + unpacked));
    }
    print("skopeo copy", &mut pulls, None);
    print("umoci unpack", &mut unpacks, None);
    let base = print("both", &mut both, None).map(|median: Duration| ("both", median));
    print("POST to TASK_RUNNING, pull and unpacking included", &mut ours, base);
}

/// Busybox, and files of which half is noise.
fn large(seed: u64) -> TestImage {
    let mut archive = Archive::new().dir("data", 0o755);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for number in 0..FILES {
        let mut content = Vec::with_capacity(FILE);
        while content.len() < FILE / 2 {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_le_bytes());
        }
        content.resize(FILE, b'a');
        archive = archive.file(&format!("data/{number}"), &content);
    }
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]});
    TestImage::new(config, &[crate::images::image::busybox_layer(), archive.finish()])
}
