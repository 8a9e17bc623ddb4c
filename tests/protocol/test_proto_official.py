#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""api/proto against the official xDS messages, field by field: the same name, number, type, label and oneof, the same enum values.

The official .proto files are those in the npm package of gRPC's own xDS client; protoc turns both sides into descriptors. The package
is fetched once into ${XDG_CACHE_HOME:-~/.cache}/outrigger-tests. Without npm, protoc or a registry this is a skip (77 when run alone).
"""
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

from google.protobuf import descriptor_pb2

PACKAGE = "@grpc/grpc-js-xds"
VERSION = "1.14.1"
ARCHIVE = f"grpc-grpc-js-xds-{VERSION}.tgz"
# In the order protoc looks: the package's own copies of what Envoy's files import.
PROTO_ROOTS = ["deps/envoy-api", "deps/xds", "deps/protoc-gen-validate", "deps/googleapis"]
OUR_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "api", "proto")

Field = descriptor_pb2.FieldDescriptorProto

official = {}
ours = {}


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(base, "outrigger-tests")
    os.makedirs(folder, exist_ok=True)
    return folder


def run(command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False, **kwargs)


def fetch_package():
    """The folder of the unpacked package."""
    folder = cache_folder()
    unpacked = os.path.join(folder, f"grpc-js-xds-{VERSION}")
    if os.path.isdir(unpacked):
        return unpacked
    if shutil.which("npm") is None:
        raise unittest.SkipTest("npm is not here")
    with tempfile.TemporaryDirectory(dir=folder) as work:
        result = run(["npm", "pack", "--loglevel=error", f"{PACKAGE}@{VERSION}"], cwd=work)
        archive = os.path.join(work, ARCHIVE)
        if result.returncode != 0 or not os.path.exists(archive):
            said = result.stdout.strip().splitlines()[:1] or ["no message"]
            raise unittest.SkipTest(f"npm cannot get {PACKAGE} {VERSION}: {said[0]}")
        extract(archive, work)
        os.rename(os.path.join(work, "package"), unpacked)
    return unpacked


def extract(archive, folder):
    """Regular files only, and only below `folder`."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            path = os.path.normpath(member.name)
            if member.isfile() and path.startswith("package" + os.sep):
                member.name = path
                member.mode = 0o644
                tar.extract(member, folder)


def describe(roots, files):
    """The messages and enums that protoc finds, by full name."""
    with tempfile.NamedTemporaryFile(suffix=".bin") as output:
        command = ["protoc", "--include_imports", f"--descriptor_set_out={output.name}"]
        command += [f"-I{root}" for root in roots] + files
        result = run(command)
        if result.returncode != 0:
            raise AssertionError(f"protoc: {result.stdout}")
        found = descriptor_pb2.FileDescriptorSet.FromString(output.read())
    return index(found.file)


def index(files):
    things = {}
    for file in files:
        for message in file.message_type:
            index_message(things, file.package, message)
        for enum in file.enum_type:
            things[f"{file.package}.{enum.name}"] = enum
    return things


def index_message(things, scope, message):
    name = f"{scope}.{message.name}"
    things[name] = message
    for inner in message.nested_type:
        index_message(things, name, inner)
    for enum in message.enum_type:
        things[f"{name}.{enum.name}"] = enum


def our_files():
    for folder, _, names in sorted(os.walk(OUR_ROOT)):
        for name in sorted(names):
            if name.endswith(".proto"):
                yield os.path.relpath(os.path.join(folder, name), OUR_ROOT)


def python_well_known():
    """google.protobuf's own messages as Python's library knows them: protoc has them built in and would compare our files with themselves."""
    from google.protobuf import any_pb2, duration_pb2, struct_pb2, wrappers_pb2
    files = []
    for module in (any_pb2, duration_pb2, struct_pb2, wrappers_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        files.append(file)
    return index(files)


def setUpModule():
    if shutil.which("protoc") is None:
        raise unittest.SkipTest("protoc is not here")
    package = fetch_package()
    files = list(our_files())
    ours.update(describe([OUR_ROOT], files))
    roots = [os.path.join(package, root) for root in PROTO_ROOTS]
    wanted = [f for f in files if not f.startswith("google/protobuf/")]
    official.update(describe_official(roots, wanted))
    official.update(python_well_known())


def describe_official(roots, wanted):
    """The package leaves google/protobuf to protoc, whose own copies Debian packs apart: they are written out from Python's library."""
    with tempfile.TemporaryDirectory() as extra:
        patch_validation(roots, extra)
        return describe([extra] + roots + [write_well_known(extra)], wanted)


def patch_validation(roots, folder):
    """The package's validate.proto is older than the files that use it: it lacks an option, which says nothing about the wire."""
    source = next(os.path.join(root, "validate/validate.proto") for root in roots
                  if os.path.exists(os.path.join(root, "validate/validate.proto")))
    os.makedirs(os.path.join(folder, "validate"))
    with open(source, encoding="utf-8") as text, open(os.path.join(folder, "validate/validate.proto"), "w", encoding="utf-8") as out:
        out.write(text.read().replace("message StringRules {", "message StringRules {\n  optional bool ignore_empty = 1000;"))


def write_well_known(folder):
    """google/protobuf/*.proto, as far as Envoy's files import them: from python3-grpc-tools or protoc's headers where they are, else
    empty messages of the right names, which is all that descriptors of other files need."""
    for root in ("/usr/include", "/usr/lib/python3/dist-packages/grpc_tools/_proto"):
        if os.path.exists(os.path.join(root, "google/protobuf/descriptor.proto")):
            return root
    from google.protobuf import (any_pb2, descriptor_pb2 as d, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    target = os.path.join(folder, "google", "protobuf")
    os.makedirs(target)
    for module in (any_pb2, d, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        with open(os.path.join(folder, file.name), "w", encoding="utf-8") as out:
            out.write(render(file))
    return folder


def render(file):
    """A .proto text with the messages and enums of `file`. Default values and options do not matter here."""
    lines = [f'syntax = "{file.syntax or "proto2"}";', f"package {file.package};"]
    for enum in file.enum_type:
        lines += render_enum(enum)
    for message in file.message_type:
        lines += render_message(message, (file.syntax or "proto2") == "proto2")
    return "\n".join(lines) + "\n"


def render_enum(enum):
    return [f"enum {enum.name} {{"] + [f"{v.name} = {v.number};" for v in enum.value] + ["}"]


def render_message(message, is_proto2):
    lines = [f"message {message.name} {{"]
    entries = {m.name for m in message.nested_type if m.options.map_entry}
    for enum in message.enum_type:
        lines += render_enum(enum)
    for inner in message.nested_type:
        if inner.name not in entries:
            lines += render_message(inner, is_proto2)
    for field in message.field:
        lines.append(render_field(message, field, entries, is_proto2))
    for extension in message.extension_range:
        lines.append(f"extensions {extension.start} to {extension.end - 1};" if extension.end < 536870912 else
                     f"extensions {extension.start} to max;")
    return lines + ["}"]


def render_field(message, field, entries, is_proto2):
    label = "repeated " if field.label == Field.LABEL_REPEATED else ("optional " if is_proto2 else "")
    kind = field.type_name or Field.Type.Name(field.type)[5:].lower()
    if field.type_name.rsplit(".", 1)[-1] in entries:
        entry = next(m for m in message.nested_type if m.name == field.type_name.rsplit(".", 1)[-1])
        kind, label = f"map<string, {entry.field[1].type_name}>", ""
    return f"{label}{kind} {field.name} = {field.number};"


def oneof_of(message, field):
    """The oneof's name; a proto3 `optional` is none, whatever the descriptor says."""
    if not field.HasField("oneof_index") or field.proto3_optional:
        return None
    return message.oneof_decl[field.oneof_index].name


def shape(message, field):
    """All that decides how the field looks on the wire and in an API; a map's entry type bears another name in each compiler."""
    kind = Field.Type.Name(field.type)
    return (field.number, field.name, kind, field.type_name, Field.Label.Name(field.label), oneof_of(message, field))


class OfficialDescriptors(unittest.TestCase):
    def messages(self):
        return [(n, m) for n, m in sorted(ours.items()) if isinstance(m, descriptor_pb2.DescriptorProto)]

    def enums(self):
        return [(n, e) for n, e in sorted(ours.items()) if isinstance(e, descriptor_pb2.EnumDescriptorProto)]

    def test_every_message_and_enum_exists_officially(self):
        missing = [name for name in sorted(ours) if name not in official]
        self.assertEqual(missing, [])

    def test_every_field_has_the_official_name_number_type_label_and_oneof(self):
        checked = 0
        for name, message in self.messages():
            theirs = {f.number: f for f in official[name].field}
            for field in message.field:
                with self.subTest(field=f"{name}.{field.name}"):
                    self.assertIn(field.number, theirs)
                    self.assertEqual(shape(message, field), shape(official[name], theirs[field.number]))
                checked += 1
        # Fewer would mean that this compared nothing.
        self.assertGreater(checked, 230)

    def test_every_enum_value_has_the_official_number(self):
        for name, enum in self.enums():
            theirs = {v.name: v.number for v in official[name].value}
            with self.subTest(enum=name):
                self.assertEqual({v.name: v.number for v in enum.value}, {v.name: theirs.get(v.name) for v in enum.value})

    def test_enums_that_others_fill_are_complete(self):
        """A value left out would arrive as a bare number."""
        for name in ("envoy.config.core.v3.HealthStatus", "envoy.config.cluster.v3.Cluster.DiscoveryType",
                     "envoy.type.v3.FractionalPercent.DenominatorType"):
            theirs = {v.name for v in official[name].value if not v.options.deprecated}
            self.assertLessEqual(theirs, {v.name for v in ours[name].value}, name)

    def test_map_fields_are_maps_on_both_sides(self):
        for name, message in self.messages():
            self.assertEqual(message.options.map_entry, official[name].options.map_entry, name)

    def test_files_are_where_the_official_ones_are(self):
        package = fetch_package()
        for file in our_files():
            if file.startswith("google/protobuf/"):
                continue
            with self.subTest(file=file):
                self.assertTrue(any(os.path.exists(os.path.join(package, root, file)) for root in PROTO_ROOTS))


def main():
    try:
        setUpModule()
    except unittest.SkipTest as reason:
        print(f"skipped: {reason}")
        return 77
    globals()["setUpModule"] = lambda: None
    return 0 if unittest.main(exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
