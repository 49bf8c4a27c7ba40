//! An image for pods, made of the node's own shell, imported into its containerd: no registry is needed.

/// Its name.
pub const IMAGE: &str = "nodewhy.test/tools:1";

/// Run in the node.
pub(super) const IMPORT: &str = r#"dir=$(mktemp -d)
mkdir -p "$dir/root/bin" "$dir/root/lib64" "$dir/root/lib/x86_64-linux-gnu" "$dir/image"
cp /bin/dash "$dir/root/bin/sh"
cp /bin/sleep "$dir/root/bin/"
cp /lib64/ld-linux-x86-64.so.2 "$dir/root/lib64/"
cp /lib/x86_64-linux-gnu/libc.so.6 "$dir/root/lib/x86_64-linux-gnu/"
tar -C "$dir/root" -cf "$dir/image/layer.tar" .
digest=$(sha256sum "$dir/image/layer.tar" | cut -c1-64)
cat >"$dir/image/config.json" <<END
{"architecture":"amd64","os":"linux","config":{"Cmd":["/bin/sleep","infinity"]},"rootfs":{"type":"layers","diff_ids":["sha256:$digest"]}}
END
echo '[{"Config":"config.json","RepoTags":["nodewhy.test/tools:1"],"Layers":["layer.tar"]}]' >"$dir/image/manifest.json"
tar -C "$dir/image" -cf "$dir/image.tar" config.json manifest.json layer.tar
ctr -n k8s.io images import --snapshotter native "$dir/image.tar"
rm -r "$dir""#;
