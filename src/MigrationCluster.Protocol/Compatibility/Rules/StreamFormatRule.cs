namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>The destination reads every stream format that the source writes.</summary>
public static class StreamFormatRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        var own = candidate.Destination.StreamFormatsRead;
        var read = new NameCursor<string>(own, static format => format);
        var written = candidate.Source.StreamFormatsWritten;
        for (int i = 0; i < written.Count; i++)
            if (read.Find(written[i]) is null)
                findings.Refuse("device.stream-format-unknown", written[i], own.Count == 0 ? "none" : string.Join(' ', own),
                    "upgrade the destination to a device that reads the source's stream format");
    }
}
