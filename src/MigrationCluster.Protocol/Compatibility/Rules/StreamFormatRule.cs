namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>The destination reads every stream format that the source writes.</summary>
public static class StreamFormatRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        var own = candidate.Destination.StreamFormatsRead;
        var read = new NameCursor<string>(own, static format => format);
        foreach (string written in Items.Of(candidate.Source.StreamFormatsWritten))
            if (read.Find(written) is null)
                findings.Refuse("device.stream-format-unknown", written, own.Count == 0 ? "none" : string.Join(' ', own),
                    "upgrade the destination to a device that reads the source's stream format");
    }
}
