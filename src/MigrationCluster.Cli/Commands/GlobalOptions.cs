using System.CommandLine;

namespace MigrationCluster.Cli.Commands;

/// <summary>Options that every command takes.</summary>
public static class GlobalOptions
{
    public const string DefaultCoordinator = "http://127.0.0.1:7101";
    public const string CoordinatorVariable = "MC_COORDINATOR";

    public static readonly Option<Uri> Coordinator = new("--coordinator")
    {
        Description = $"URL of the coordinator; without it ${CoordinatorVariable}, else {DefaultCoordinator}",
        HelpName = "URL",
        Recursive = true,
        CustomParser = result =>
        {
            if (TryUrl(result.Tokens[0].Value, out var url)) return url;
            result.AddError($"--coordinator {result.Tokens[0].Value}: not a URL such as {DefaultCoordinator}");
            return null;
        },
    };

    public static readonly Option<string> Output = MakeOutput();

    public static bool IsJson(ParseResult parse) => parse.GetValue(Output) == "json";

    /// <exception cref="UsageException">the environment names something that is no URL.</exception>
    public static Uri CoordinatorOf(ParseResult parse)
    {
        if (parse.GetValue(Coordinator) is { } named) return named;
        string? variable = Environment.GetEnvironmentVariable(CoordinatorVariable);
        if (string.IsNullOrEmpty(variable)) return new Uri(DefaultCoordinator);
        return TryUrl(variable, out var url)
            ? url
            : throw new UsageException($"{CoordinatorVariable}={variable}: not a URL such as {DefaultCoordinator}");
    }

    private static bool TryUrl(string text, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Uri? url) =>
        Uri.TryCreate(text, UriKind.Absolute, out url) && url.Scheme is "http" or "https" && url.Host.Length > 0;

    private static Option<string> MakeOutput()
    {
        var option = new Option<string>("--output")
        {
            Description = "text, or json: exactly one JSON document on stdout, everything else on stderr",
            Recursive = true,
            DefaultValueFactory = _ => "text",
        };
        option.AcceptOnlyFromAmong("text", "json");
        return option;
    }
}
