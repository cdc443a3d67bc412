"""A CMSIS-Pack made on the spot, installed as `pyocd pack install` leaves one: a chip `TF51X` which is the
emulated microbit's, with a flash algorithm of its own."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

ALGORITHM = r"""
#define NVMC(at) (*(volatile unsigned *)(0x4001e000u + (at)))
#define CODE __attribute__((section("PrgCode"), used))

struct sector { unsigned size, start; };
struct device {
    unsigned short version; char name[128]; unsigned short type;
    unsigned start, size, page, reserved; unsigned char empty; unsigned program_ms, erase_ms;
    struct sector sectors[2];
};
__attribute__((section("DevDscr"), used)) const struct device FlashDevice = {
    0x101, "emulated", 1, 0, 0x40000, 1024, 0, 0xff, 1000, 1000, {{1024, 0}, {0xffffffff, 0xffffffff}}};

CODE int Init(unsigned address, unsigned clock, unsigned function) { return 0; }
CODE int UnInit(unsigned function) { return 0; }
CODE int EraseSector(unsigned address) {
    NVMC(0x504) = 2;
    NVMC(0x508) = address;
    while (!NVMC(0x400)) {}
    NVMC(0x504) = 0;
    return 0;
}
CODE int ProgramPage(unsigned address, unsigned size, const unsigned *data) {
    NVMC(0x504) = 1;
    for (unsigned i = 0; i < size / 4; i++) {
        ((volatile unsigned *)address)[i] = data[i];
        while (!NVMC(0x400)) {}
    }
    NVMC(0x504) = 0;
    return 0;
}
"""
DESCRIPTION = """\
<package schemaVersion="1.3"><vendor>tinyfleet</vendor><name>Test</name>
<releases><release version="1.0.0"/></releases>
<devices><family Dfamily="F" Dvendor="none:0"><processor Dcore="Cortex-M0" DcoreVersion="r0p0"/>
<device Dname="TF51X">
<memory name="IROM1" access="rx" start="0" size="0x40000" default="1" startup="1"/>
<memory name="IRAM1" access="rwx" start="0x20000000" size="0x4000" default="1"/>
<debug __dp="0" __ap="0"/>
<algorithm name="flash.FLM" start="0" size="0x40000" default="1"/>
</device></family></devices></package>
"""


def install(data_home: Path, folder: Path) -> None:
    """For whoever has `data_home` as XDG_DATA_HOME."""
    source, algorithm = folder / "flash.c", folder / "flash.FLM"
    source.write_text(ALGORITHM)
    command = [
        *("arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb", "-Os", "-ffreestanding", "-nostdlib", "-w"),
        *("-Wl,--section-start=PrgCode=0", "-Wl,--section-start=DevDscr=0x1000", "-Wl,-e,Init"),
        *("-o", str(algorithm), str(source)),
    ]
    subprocess.run(command, check=True, timeout=60)
    cache = data_home / "cmsis-pack-manager"
    pack = cache / "tinyfleet" / "Test" / "1.0.0.pack"
    pack.parent.mkdir(parents=True)
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("tinyfleet.Test.pdsc", DESCRIPTION)
        archive.write(algorithm, "flash.FLM")
    origin = {"vendor": "tinyfleet", "pack": "Test", "version": "1.0.0"}
    (cache / "index.json").write_text(json.dumps({"TF51X": {"name": "TF51X", "from_pack": origin}}))
