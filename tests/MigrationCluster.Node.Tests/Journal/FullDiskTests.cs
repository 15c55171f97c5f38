using System.Diagnostics;
using Dapper;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.Node.Tests.Journal;

/// <summary>A disk that was full is a passing failure, not the end of the file.</summary>
public sealed class FullDiskTests : IDisposable
{
    private readonly TempDirectory _directory = new();
    private bool _mounted;

    public void Dispose()
    {
        if (_mounted) Run("umount", _directory.Path);
        _directory.Dispose();
    }

    [MountFact]
    public void What_fails_on_a_full_disk_succeeds_once_there_is_room()
    {
        _mounted = Run("mount", "-t", "tmpfs", "-o", "size=256k", "none", _directory.Path);
        Assert.True(_mounted);
        using (var file = SqliteFile.Open(Path.Combine(_directory.Path, "a.db"), "CREATE TABLE t (body BLOB)"))
        {
            string filler = Path.Combine(_directory.Path, "filler");
            Fill(filler);
            Assert.ThrowsAny<IOException>(() => Append(file, 64 << 10));
            Assert.ThrowsAny<IOException>(() => Append(file, 64 << 10));
            File.Delete(filler);
            Append(file, 16 << 10);
            Assert.Equal(1, file.Read(db => db.ExecuteScalar<long>("SELECT COUNT(*) FROM t")));
        }
    }

    private static int Append(SqliteFile file, int bytes) => file.Write(durable: true, db =>
        db.Execute("INSERT INTO t VALUES (zeroblob(@bytes))", new { bytes }));

    private static void Fill(string path)
    {
        using var filler = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        try
        {
            while (true) filler.Write(new byte[4096]);
        }
        catch (IOException)
        {
            // That was the last page.
        }
    }

    internal static bool Run(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}

/// <summary>Skips visibly where a file system cannot be mounted.</summary>
internal sealed class MountFactAttribute : FactAttribute
{
    public MountFactAttribute() => Skip = Environment.IsPrivilegedProcess ? null : "needs the right to mount a tmpfs";
}
