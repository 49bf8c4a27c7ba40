"""Reads a kustomize directory as kubectl would and checks that its parts fit together: manifests.py DIR."""

import pathlib
import sys

import yaml


def fail(where, what):
    sys.exit(f"{where}: {what}")


def load(path):
    """All documents of a file; duplicate keys, which YAML forbids and the library lets pass, are refused."""

    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                fail(f"{path}:{node.start_mark.line + 1}", f"key {key!r} is there twice")
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return [document for document in yaml.load_all(path.read_text(), Strict) if document is not None]
    except yaml.YAMLError as error:
        fail(path, error)


def check_workload(path, thing, config_maps):
    name = f"{path}: {thing['kind']} {thing['metadata']['name']}"
    spec = thing["spec"]
    wanted, labels = spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]
    if not wanted.items() <= labels.items():
        fail(name, f"selector {wanted} does not select its own pods {labels}")
    pod = spec["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
    used = set()
    for container in pod["containers"]:
        for mount in container["volumeMounts"]:
            used.add(mount["name"])
            if mount["name"] not in volumes.keys() | claims:
                fail(name, f"no volume {mount['name']}")
            node = volumes.get(mount["name"], {}).get("hostPath", {}).get("path")
            if node and node != "/var/lib/nodewhy-agent" and not mount.get("readOnly"):
                fail(name, f"the node's {node} is mounted writable")
        if "limits" not in container.get("resources", {}):
            fail(name, f"container {container['name']} has no limits")
    if unused := (volumes.keys() | claims) - used:
        fail(name, f"volumes that nothing mounts: {', '.join(sorted(unused))}")
    for volume in volumes.values():
        wanted_map = volume.get("configMap", {}).get("name")
        # Every namespace has kube-root-ca.crt from Kubernetes itself.
        if wanted_map and wanted_map not in config_maps | {"kube-root-ca.crt"}:
            fail(name, f"no config map {wanted_map}")


def main(directory):
    kustomization = load(directory / "kustomization.yaml")[0]
    config_maps = set()
    for generator in kustomization.get("configMapGenerator", []):
        config_maps.add(generator["name"])
        for entry in generator.get("files", []):
            load(directory / entry.split("=")[-1])
    things = [(directory / resource, thing) for resource in kustomization["resources"] for thing in load(directory / resource)]
    workloads = [(path, thing) for path, thing in things if thing["kind"] in ("DaemonSet", "StatefulSet", "Deployment")]
    for path, thing in workloads:
        check_workload(path, thing, config_maps)
    pods = [thing["spec"]["template"]["metadata"]["labels"] for _, thing in workloads]
    for path, thing in things:
        if thing["kind"] == "Service" and not any(thing["spec"]["selector"].items() <= labels.items() for labels in pods):
            fail(path, f"service {thing['metadata']['name']} selects no pod")
    print(f"manifests: {len(things)} objects, {len(config_maps)} config maps fit together")


main(pathlib.Path(sys.argv[1]))
