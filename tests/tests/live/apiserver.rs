//! Faults between the node and its API server. The kubelet itself is well.

use std::time::Duration;

use nodewhy_tests::pki::Authority;
use nodewhy_tests::world::{API_NAME, Shape, World, live};

use crate::support::story_that_says;

/// A look every 10 s, a few seconds for which it has to last, and what the kubelet says in between.
const NAMED_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn refused() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| {
            world.api.stop().await;
            Ok(())
        };
        let mend_it = async |world: &mut World| world.api.resume(&world.pki.api).await;
        story_that_says(world, "apiserver-unreachable", "refuse", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn dropped() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| {
            let rules = "add table inet fault; add chain inet fault out { type filter hook output priority 0 ; }; \
                         add rule inet fault out tcp dport 6443 drop";
            world.node.on_network(&["nft", rules]).map(drop)
        };
        let mend_it = async |world: &mut World| world.node.on_network(&["nft", "delete table inet fault"]).map(drop);
        story_that_says(world, "apiserver-unreachable", "times out", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn another_ca() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| {
            let other = Authority::new("kubernetes")?.server("kube-apiserver", &[API_NAME], &[])?;
            world.api.resume(&other).await
        };
        let mend_it = async |world: &mut World| world.api.resume(&world.pki.api).await;
        story_that_says(world, "certificate-untrusted", "not signed by the CA", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn expired_client_certificate() {
    live(Shape::default(), async |world| {
        let path = "/var/lib/kubelet/pki/kubelet-client-current.pem";
        let break_it = async |world: &mut World| {
            let name = format!("system:node:{}", world.node.name());
            world.node.write(path, &world.pki.authority.expired_client(&name, Some("system:nodes"))?.bundle())?;
            world.node.run(&["systemctl", "restart", "kubelet"]).map(drop)
        };
        let mend_it = async |world: &mut World| {
            world.node.write(path, &world.pki.kubelet.bundle())?;
            world.node.run(&["systemctl", "restart", "kubelet"]).map(drop)
        };
        story_that_says(world, "certificate-expired", path, NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn name_does_not_resolve() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| {
            world.dns.know(false);
            Ok(())
        };
        let mend_it = async |world: &mut World| {
            world.dns.know(true);
            Ok(())
        };
        story_that_says(world, "dns-failure", API_NAME, NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}

#[test]
fn clock_off() {
    live(Shape::default(), async |world| {
        let break_it = async |world: &mut World| {
            world.api.set_clock_ahead(jiff::SignedDuration::from_mins(-20));
            Ok(())
        };
        let mend_it = async |world: &mut World| {
            world.api.set_clock_ahead(jiff::SignedDuration::ZERO);
            Ok(())
        };
        story_that_says(world, "clock-skew", "ahead of the API server's", NAMED_WITHIN, break_it, mend_it).await.map(drop)
    });
}
