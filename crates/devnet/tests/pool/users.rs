//! Whoever an app runs as, what is the guest's alone stays the guest's: above all the relay and the socket that makes evidence.

use std::path::Path;

use rustix::io::Errno;

use crate::isolation::{HOSTILE, arguments};
use crate::scene::{Order, Scene, Setting};

/// What the guest alone may do, and how an app is refused.
const FOR_THE_GUEST: [(&str, Errno); 13] = [
    ("list=/.strongroom", Errno::ACCESS),
    ("list=/.strongroom/relay", Errno::ACCESS),
    ("open=/.strongroom/relay/origins", Errno::ACCESS),
    ("open=/.strongroom/guest", Errno::ACCESS),
    ("connect-unix=/.strongroom/relay/w.sock", Errno::ACCESS),
    ("connect-unix=/.strongroom/relay/0.sock", Errno::ACCESS),
    ("connect-unix=/.strongroom/evidence.sock", Errno::ACCESS),
    ("open=/proc/1/environ", Errno::ACCESS),
    ("open=/proc/1/mem", Errno::ACCESS),
    ("list=/proc/1/root", Errno::ACCESS),
    ("open=/proc/1/fd/0", Errno::ACCESS),
    ("trace=1", Errno::PERM),
    ("unshare", Errno::PERM),
];

/// Ways to open the guest's folder, and one more try to enter.
const ATTACKS: [(&str, &[Errno]); 4] = [
    ("open-up=/.strongroom", &[Errno::ROFS, Errno::PERM]),
    ("write=/.strongroom/new", &[Errno::ACCESS]),
    ("mount=/.strongroom", &[Errno::PERM]),
    ("list=/.strongroom/relay/.", &[Errno::ACCESS]),
];

/// A task of a hostile image that names `user` completes, ran as `ran_as`, and reached nothing of the guest's.
async fn reaches_nothing(scene: &Scene, user: &str, ran_as: &str) {
    let add = |image: &mut strongroom_oci::ImageBuilder| {
        image.user(user);
        image.host_program(Path::new(HOSTILE), "/bin/hostile").map(drop)
    };
    let app = scene.app_with(&format!("as-{}", user.replace(':', "-")), "exec /bin/hostile \"$@\"", add).await;
    let acts = FOR_THE_GUEST.iter().map(|(act, _)| *act).chain(ATTACKS.iter().map(|(act, _)| *act));
    let params = arguments(acts.chain(["user"]));
    let task = scene.buy(Order { params: &params, callback: false, ..Order::of(app) }).await[0];
    let model = scene.end(task).await;
    assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
    let report = scene.result_file(task, "report.txt").await;
    assert!(report.contains(&format!("user {ran_as}\n")), "{report}");
    let single = FOR_THE_GUEST.iter().map(|(act, error)| (*act, std::slice::from_ref(error)));
    for (act, errors) in single.chain(ATTACKS) {
        let refused = errors.iter().any(|error| report.contains(&format!("{act} REFUSED {}\n", error.raw_os_error())));
        assert!(refused, "{act} must be refused with one of {errors:?}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_asks_for_root_gets_an_ordinary_user() {
    let scene = Scene::shared().await;
    for (user, ran_as) in [("0:0", "1000:1000"), ("root", "1000:1000"), ("", "1000:1000"), ("7:0", "7:1000")] {
        reaches_nothing(&scene, user, ran_as).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_a_pool_without_root_shares_the_guests_user_and_reaches_nothing_of_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: the pools of all tests are without");
        return;
    }
    let scene = Scene::with(Setting { ordinary_user: true, ..Setting::default() }).await;
    for user in ["", "0:0"] {
        reaches_nothing(&scene, user, "0:0").await;
    }
}
