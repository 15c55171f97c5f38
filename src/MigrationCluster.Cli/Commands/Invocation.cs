using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Commands;

/// <summary>One run of one command: where it writes, what it talks to, and how its failures become an exit code.</summary>
public sealed class Invocation(ParseResult parse, Terminal terminal, Interruption interruption)
{
    private static readonly JsonSerializerOptions Indented = new(Api.Json.Replies) { TypeInfoResolver = new DefaultJsonTypeInfoResolver(), WriteIndented = true };

    public ParseResult Parse { get; } = parse;
    public Terminal Terminal { get; } = terminal;
    public Interruption Interruption { get; } = interruption;
    public bool Json { get; } = GlobalOptions.IsJson(parse);

    /// <summary>For what is said besides the result: stdout holds nothing but the document when it is JSON.</summary>
    public TextWriter Narration => Json ? Terminal.Error : Terminal.Output;

    public ClusterClient Connect()
    {
        var coordinator = GlobalOptions.CoordinatorOf(Parse);
        return new ClusterClient(coordinator, GlobalOptions.CertsOf(Parse, coordinator));
    }

    public void WriteJson<T>(T document) => Terminal.Output.WriteLine(JsonSerializer.Serialize(document, Indented));

    public static void Handle(
        Command command, Terminal terminal, Interruption interruption, Func<Invocation, CancellationToken, Task<int>> run) =>
        command.SetAction(parse => new Invocation(parse, terminal, interruption).RunAsync(run));

    private async Task<int> RunAsync(Func<Invocation, CancellationToken, Task<int>> run)
    {
        try
        {
            return await run(this, Interruption.Token);
        }
        catch (UsageException error)
        {
            Terminal.Error.WriteLine($"migctl: {error.Message}");
            return ExitCodes.Usage;
        }
        catch (ApiException error)
        {
            ErrorText.Write(Terminal.Error, error.Error);
            if (Json) WriteJson(new { error = error.Error });
            return ExitCodes.Of(error.Error);
        }
        catch (OperationCanceledException) when (Interruption.Token.IsCancellationRequested)
        {
            Terminal.Error.WriteLine("migctl: interrupted");
            return Interruption.ExitCode;
        }
    }
}
