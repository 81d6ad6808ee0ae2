//! Fetching from a server on loopback and from the machine, well-meant and hostile.

#[path = "../../../hansa-images/tests/support/tls.rs"]
mod tls;

use super::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each path with what it is told, and writes down what was asked for.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: BTreeMap<&'static str, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                    let mut buffer = [0; 1024];
                    let read = stream.read(&mut buffer).await.unwrap();
                    if read == 0 {
                        break;
                    }
                    request.extend_from_slice(&buffer[..read]);
                }
                let text = String::from_utf8(request).unwrap();
                let path = text.split(' ').nth(1).unwrap_or("").to_owned();
                let known = text.to_lowercase().contains("if-none-match: \"1\"");
                log.lock().unwrap().push(format!("{path}{}", if known { " known" } else { "" }));
                let head = match (answers.get(path.as_str()), path.as_str()) {
                    (_, "/away") => "HTTP/1.1 302 Found\r\nlocation: /plain\r\ncontent-length: 0\r\n".into(),
                    (_, "/inward") => {
                        "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n".into()
                    }
                    (_, "/round") => "HTTP/1.1 302 Found\r\nlocation: /round\r\ncontent-length: 0\r\n".into(),
                    (_, "/short") => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n".into(),
                    (_, "/huge") => "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n".into(),
                    (Some(_), _) if known => "HTTP/1.1 304 Not Modified\r\n".into(),
                    (Some(body), _) => {
                        format!("HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: {}\r\n", body.len())
                    }
                    (None, _) => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n".into(),
                };
                let _ = stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await;
                if !known {
                    let body = answers.get(path.as_str()).map(Vec::as_slice);
                    let _ =
                        stream.write_all(body.unwrap_or(if path == "/short" { b"short" } else { b"" })).await;
                }
            }
        });
        Self { address, asked }
    }

    fn artifact(&self, path: &str) -> Artifact {
        Artifact { uri: format!("{}{path}", self.address), extract: true, ..Artifact::default() }
    }
}

struct Place {
    temp: tempfile::TempDir,
    fetcher: Fetcher,
}

impl Place {
    fn new() -> Self {
        Self::trusting(Trust::default())
    }

    fn trusting(trust: Trust) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let fetcher = Fetcher::open(&temp.path().join("fetch"), vec!["/etc/ssl".into()], trust).unwrap();
        Self { temp, fetcher }
    }

    fn sandbox(&self) -> PathBuf {
        self.temp.path().join("sandbox")
    }

    async fn fetch(&self, artifact: Artifact) -> Result<(), String> {
        let done = self.fetcher.fetch(&[artifact], &self.sandbox(), |_| ()).await;
        let unfinished = std::fs::read_dir(self.temp.path().join("fetch/unfinished")).unwrap().count();
        assert_eq!(unfinished, 0, "left behind");
        done
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.sandbox().join(name)).unwrap_or_else(|error| error.kind().to_string())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// An archive of files (and of whatever the closure adds).
fn tar(files: &[(&str, &str)], more: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o6755);
        // The builder itself would refuse names that lead out.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, text.as_bytes()).unwrap();
    }
    more(&mut archive);
    archive.into_inner().unwrap()
}

fn link(archive: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, to: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o777);
    header.set_path(name).unwrap();
    header.set_link_name_literal(to).unwrap();
    header.set_cksum();
    archive.append(&header, io::empty()).unwrap();
}

/// A zip archive of stored files, as Unix writes them.
fn zip(files: &[(&str, &str, u32)]) -> Vec<u8> {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (name, text, mode) in files {
        let mut sum = flate2::Crc::new();
        sum.update(text.as_bytes());
        let mut common = vec![0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(sum.sum().to_le_bytes());
        common.extend((text.len() as u32).to_le_bytes());
        common.extend((text.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        list.extend([0x50, 0x4b, 1, 2, 20, 3, 20, 0]);
        list.extend(&common);
        list.extend([0; 6]);
        list.extend((mode << 16).to_le_bytes());
        list.extend((out.len() as u32).to_le_bytes());
        list.extend(name.as_bytes());
        out.extend([0x50, 0x4b, 3, 4, 20, 0]);
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&list);
    out.extend([0x50, 0x4b, 5, 6, 0, 0, 0, 0]);
    out.extend((files.len() as u16).to_le_bytes());
    out.extend((files.len() as u16).to_le_bytes());
    out.extend((list.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

#[tokio::test]
async fn files_of_the_web_and_of_the_machine() {
    let server =
        Server::start(BTreeMap::from([("/plain", b"text".to_vec()), ("/run.sh?x=1", b"#!".to_vec())])).await;
    let place = Place::new();
    place.fetch(server.artifact("/plain")).await.unwrap();
    place.fetch(server.artifact("/away")).await.unwrap();
    assert_eq!((place.read("plain").as_str(), place.read("away").as_str()), ("text", "text"));
    place.fetch(Artifact { executable: true, ..server.artifact("/run.sh?x=1") }).await.unwrap();
    let mode = std::fs::metadata(place.sandbox().join("run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    let file = place.temp.path().join("own file");
    std::fs::write(&file, "own").unwrap();
    for uri in [file.display().to_string(), format!("file://{}", file.display())] {
        let dest_path = Some("deep/er/copy".into());
        place.fetch(Artifact { uri, dest_path, ..Artifact::default() }).await.unwrap();
        assert_eq!(place.read("deep/er/copy"), "own");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_told() {
    let server = Server::start(BTreeMap::from([
        ("/plain", b"text".to_vec()),
        ("/x.tar.xz", Vec::new()),
        ("/greedy.txz", include_bytes!("../../tests/data/greedy.xz").to_vec()),
    ]))
    .await;
    let place = Place::new();
    let web = |path: &str| server.artifact(path);
    let of = |uri: &str| Artifact { uri: uri.into(), ..Artifact::default() };
    let named = |path: &str| Artifact { dest_path: Some(path.into()), ..web("/plain") };
    let sum = Artifact { sha256: Some("00".repeat(32)), ..web("/plain") };
    for (artifact, word) in [
        (web("/none"), "status 404"),
        (web("/round"), "again and again"),
        (web("/inward"), "nowhere"),
        (web("/huge"), "larger than"),
        (web("/"), "no file name"),
        (web("/x.tar.xz"), "no xz file, or a damaged one: it ends too early"),
        (web("/greedy.txz"), "takes 512 MiB of memory"),
        (of("hdfs://name/x"), "hdfs:// is not supported"),
        (of("x"), "neither a URL nor an absolute path"),
        (of("http://user:secret@127.0.0.1/x"), "user and password"),
        (of("/no/such/file"), "No such file"),
        (of("/etc"), "not an ordinary file"),
        (of("/usr/../etc/ssl/openssl.cnf"), "belongs to the agent"),
        (named("../x"), "out of the sandbox"),
        (named("/x"), "out of the sandbox"),
        (named("a/../../x"), "out of the sandbox"),
        (sum, "SHA-256 is 982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"),
    ] {
        let error = place.fetch(artifact).await.unwrap_err();
        assert!(error.starts_with("cannot fetch ") && error.contains(word), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(place.fetch(web("/short")).await.is_err());
    let right = Some("982D9E3EB996F559E633F4D194DEF3761D909F5A3B647D1A851FEAD67C32C9D1".into());
    place.fetch(Artifact { sha256: right, ..web("/plain") }).await.unwrap();
}

#[tokio::test]
async fn archives_are_unpacked_by_their_names() {
    let files = [("a/b", "one"), ("c", "two")];
    let plain = tar(&files, |archive| link(archive, tar::EntryType::Symlink, "l", "c"));
    let zipped = zip(&[("d/", "", 0o040_755), ("d/e", "three", 0o100_755), ("f", "four", 0o100_644)]);
    let server = Server::start(BTreeMap::from([
        ("/x.tar", plain.clone()),
        ("/x.tar.gz", gzip(&plain)),
        ("/x.tgz", gzip(&plain)),
        ("/x.tar.xz", include_bytes!("../../tests/data/files.tar.xz").to_vec()),
        ("/x.txz", include_bytes!("../../tests/data/files.tar.xz").to_vec()),
        ("/x.zip", zipped),
        ("/x.txt.gz", gzip(b"five")),
    ]))
    .await;
    for path in ["/x.tar", "/x.tar.gz", "/x.tgz", "/x.tar.xz", "/x.txz"] {
        let place = Place::new();
        place.fetch(server.artifact(path)).await.unwrap();
        assert_eq!([place.read("a/b"), place.read("c"), place.read("l")], ["one", "two", "two"]);
        let mode = std::fs::metadata(place.sandbox().join("c")).unwrap().permissions().mode();
        assert_eq!(mode & 0o6000, 0, "no setuid");
        assert!(place.sandbox().join(&path[1..]).exists(), "it stays beside what was in it");
    }
    let place = Place::new();
    place.fetch(Artifact { dest_path: Some("in/x.zip".into()), ..server.artifact("/x.zip") }).await.unwrap();
    assert_eq!((place.read("in/d/e"), place.read("in/f")), ("three".into(), "four".into()));
    let mode =
        |name: &str| std::fs::metadata(place.sandbox().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("in/d/e"), mode("in/f")), (0o755, 0o644));
    place.fetch(server.artifact("/x.txt.gz")).await.unwrap();
    assert_eq!(place.read("x.txt"), "five");
    place.fetch(Artifact { extract: false, ..server.artifact("/x.tgz") }).await.unwrap();
    assert!(place.sandbox().join("x.tgz").exists());
}

#[tokio::test]
async fn hostile_archives_stay_in_their_directory() {
    use tar::EntryType::{Char, Fifo, Link, Symlink};
    let through = |name: &'static str, to: &'static str| {
        let mut archive = tar::Builder::new(Vec::new());
        link(&mut archive, Symlink, "out", to);
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        header.set_path(name).unwrap();
        header.set_cksum();
        archive.append(&header, &b"bad"[..]).unwrap();
        archive.into_inner().unwrap()
    };
    let one = |kind, name: &'static str, to: &'static str| tar(&[], |archive| link(archive, kind, name, to));
    let server = Server::start(BTreeMap::from([
        ("/climbs.tar", tar(&[("../climbed", "bad")], |_| ())),
        ("/absolute.tar", tar(&[("/climbed", "bad")], |_| ())),
        ("/link.tar", through("out/climbed", "..")),
        ("/link2.tar", through("out/climbed", "/tmp")),
        ("/hard.tar", one(Link, "passwd", "/etc/passwd")),
        ("/hard2.tar", one(Link, "victim", "../victim")),
        ("/fifo.tar", one(Fifo, "fifo", "")),
        ("/device.tar", one(Char, "zero", "")),
        ("/climbs.zip", zip(&[("../climbed", "bad", 0o100_644)])),
        ("/link.zip", zip(&[("out", "/tmp", 0o120_777)])),
        (
            "/damaged.zip",
            zip(&[("a", "aaaa", 0)]).into_iter().map(|b| if b == b'a' { b'a' } else { b }).collect(),
        ),
        ("/none.zip", b"not a zip".to_vec()),
        ("/none.tgz", b"not a tar".to_vec()),
    ]))
    .await;
    for path in [
        "/climbs.tar",
        "/link.tar",
        "/link2.tar",
        "/hard.tar",
        "/hard2.tar",
        "/fifo.tar",
        "/device.tar",
        "/climbs.zip",
        "/link.zip",
        "/none.zip",
        "/none.tgz",
    ] {
        let place = Place::new();
        std::fs::write(place.temp.path().join("victim"), "precious").unwrap();
        let error = place.fetch(server.artifact(path)).await.expect_err(path);
        assert!(error.starts_with("cannot fetch"), "{error}");
        let mut names: Vec<_> =
            std::fs::read_dir(place.temp.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        names.sort();
        assert_eq!(names, ["fetch", "sandbox", "victim"], "{path}");
        assert!(!Path::new("/tmp/climbed").exists());
    }
    // An absolute name is meant below the directory.
    let place = Place::new();
    place.fetch(server.artifact("/absolute.tar")).await.unwrap();
    assert_eq!(place.read("climbed"), "bad");
    // A link of one artifact is not followed by the next.
    let place = Place::new();
    std::fs::create_dir_all(place.sandbox()).unwrap();
    std::fs::write(place.temp.path().join("victim"), "precious").unwrap();
    std::os::unix::fs::symlink("../victim", place.sandbox().join("file")).unwrap();
    std::os::unix::fs::symlink("..", place.sandbox().join("dir")).unwrap();
    let file = place.temp.path().join("fetch").join("source");
    std::fs::write(&file, "new").unwrap();
    for dest in ["file", "dir/victim"] {
        let artifact =
            Artifact { uri: file.display().to_string(), dest_path: Some(dest.into()), ..Artifact::default() };
        place.fetch(artifact).await.unwrap();
        assert_eq!(std::fs::read_to_string(place.temp.path().join("victim")).unwrap(), "precious");
    }
}

#[tokio::test]
async fn a_server_is_believed_for_its_authority_its_name_and_its_time() {
    let server = Server::start(BTreeMap::from([("/plain", b"text".to_vec())])).await;
    let plain = server.address.strip_prefix("http://").unwrap().parse().unwrap();
    let (authority, stranger) = (tls::Authority::new("one"), tls::Authority::new("other"));
    for (trusted, name, valid, why) in [
        (&authority, "127.0.0.1", tls::VALID, None),
        (
            &stranger,
            "127.0.0.1",
            tls::VALID,
            Some("authority that this machine does not trust (start the agent with --ca-file"),
        ),
        (&authority, "127.0.0.1", tls::EXPIRED, Some("its certificate expired ")),
        (&authority, "files.example", tls::VALID, Some("is for files.example, and not for 127.0.0.1")),
    ] {
        let secure = tls::in_front_of(authority.server(name, valid), plain).await;
        let file = authority_file(trusted);
        let place = Place::trusting(Trust::with_files(&[file.path().to_owned()]).unwrap());
        let uri = format!("https://{secure}/plain");
        let fetched = place.fetch(Artifact { uri: uri.clone(), ..Artifact::default() }).await;
        match why {
            None => assert_eq!((fetched, place.read("plain").as_str()), (Ok(()), "text")),
            Some(why) => {
                let error = fetched.unwrap_err();
                let begin = format!("cannot fetch {uri}: no secure connection to {secure}: ");
                assert!(error.starts_with(&begin) && error.contains(why), "{error}");
            }
        }
    }
    let place = Place::new();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (server, why) in [
        (tls::not_tls().await, "no secure connection to SERVER: it seems to speak plain HTTP (use http://)"),
        (silent, "cannot reach SERVER: Connection refused"),
    ] {
        let artifact = Artifact { uri: format!("https://{server}/x"), ..Artifact::default() };
        let error = place.fetch(artifact).await.unwrap_err();
        assert!(error.contains(&why.replace("SERVER", &server.to_string())), "{error}");
    }
}

fn authority_file(authority: &tls::Authority) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn what_is_kept_is_asked_for_and_not_fetched_again() {
    let server = Server::start(BTreeMap::from([("/big", b"bytes".to_vec())])).await;
    let place = Place::new();
    let artifact = Artifact { cache: true, ..server.artifact("/big") };
    for name in ["one", "two"] {
        place.fetch(Artifact { dest_path: Some(name.into()), ..artifact.clone() }).await.unwrap();
        assert_eq!(place.read(name), "bytes");
        // What a task does to its copy is its own business.
        std::fs::write(place.sandbox().join(name), "changed").unwrap();
    }
    place.fetch(Artifact { cache: false, ..artifact.clone() }).await.unwrap();
    assert_eq!(*server.asked.lock().unwrap(), ["/big", "/big known", "/big"]);
}

#[tokio::test]
async fn what_is_kept_and_cannot_be_read_is_fetched_again() {
    let server = Server::start(BTreeMap::from([("/big", b"bytes".to_vec())])).await;
    let place = Place::new();
    let artifact = Artifact { cache: true, ..server.artifact("/big") };
    place.fetch(artifact.clone()).await.unwrap();
    // A directory has the same length as itself, and no bytes to be copied.
    let kept = std::fs::read_dir(place.temp.path().join("fetch/kept")).unwrap().flatten();
    let kept = kept.map(|entry| entry.path()).find(|path| path.extension().is_none()).unwrap();
    std::fs::remove_file(&kept).unwrap();
    std::fs::create_dir(&kept).unwrap();
    let note = serde_json::json!({
        "uri": artifact.uri, "tag": "\"1\"", "bytes": std::fs::metadata(&kept).unwrap().len()
    });
    std::fs::write(kept.with_extension("json"), note.to_string()).unwrap();
    place.fetch(Artifact { dest_path: Some("two".into()), ..artifact }).await.unwrap();
    assert_eq!(place.read("two"), "bytes");
    assert_eq!(*server.asked.lock().unwrap(), ["/big", "/big known", "/big"]);
}

#[tokio::test]
async fn nobody_waiting_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/never", listener.local_addr().unwrap());
    let place = Place::new();
    let artifacts = [Artifact { uri, ..Artifact::default() }];
    let sandbox = place.sandbox();
    let fetching = place.fetcher.fetch(&artifacts, &sandbox, |_| ());
    tokio::select! {
        done = fetching => panic!("{done:?}"),
        accepted = listener.accept() => drop(accepted.unwrap()),
    }
    assert_eq!(std::fs::read_dir(place.temp.path().join("fetch/unfinished")).unwrap().count(), 0);
}

#[test]
fn secrets_of_urls_are_not_told() {
    assert_eq!(shown("https://u:p@host/a/b?token=1#x"), "https://host/a/b");
    assert_eq!(shown("/a/b"), "/a/b");
    assert_eq!(told("http://h/x", 3 << 19, Some(10 << 20)), "fetching http://h/x: 1.5 of 10.0 MiB");
}
