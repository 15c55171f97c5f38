using System.CommandLine;
using MigrationCluster.Api.Certificates;

namespace MigrationCluster.Cli.Commands;

/// <summary>Options that every command takes.</summary>
public static class GlobalOptions
{
    public const string DefaultCoordinator = "http://127.0.0.1:7101";
    public const string CoordinatorVariable = "MC_COORDINATOR";
    public const string CertsVariable = "MC_CERTS";

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

    public static readonly Option<string> Certs = new("--certs")
    {
        Description = $"folder of an operator's certificate (`migctl certs issue`), for a coordinator at https://; without it ${CertsVariable}",
        HelpName = "DIR",
        Recursive = true,
    };

    public static readonly Option<string> Output = MakeOutput();

    public static bool IsJson(ParseResult parse) => parse.GetValue(Output) == "json";

    /// <exception cref="UsageException">the environment names something that is no URL, or one beyond this machine that is not sealed.</exception>
    public static Uri CoordinatorOf(ParseResult parse)
    {
        var url = parse.GetValue(Coordinator) ?? Variable(CoordinatorVariable) switch
        {
            null => new Uri(DefaultCoordinator),
            var variable => TryUrl(variable, out var named)
                ? named
                : throw new UsageException($"{CoordinatorVariable}={variable}: not a URL such as {DefaultCoordinator}"),
        };
        if (url.Scheme == Uri.UriSchemeHttp && !url.IsLoopback)
            throw new UsageException($"{url.OriginalString} is refused: beyond this machine a coordinator is at https://, and asked with --certs DIR");
        if (url.Scheme == Uri.UriSchemeHttp && parse.GetValue(Certs) is not null)
            throw new UsageException($"--certs is for a coordinator at https://, and {url.OriginalString} is not: write https:// if it was started with --certs");
        return url;
    }

    /// <returns>null: the coordinator is asked plainly.</returns>
    /// <exception cref="UsageException">a certificate is needed and there is none, or it does not do.</exception>
    public static Credentials? CertsOf(ParseResult parse, Uri coordinator)
    {
        if (coordinator.Scheme != Uri.UriSchemeHttps) return null;
        string directory = parse.GetValue(Certs) ?? Variable(CertsVariable) ?? throw new UsageException(
            $"{coordinator.OriginalString} wants to know who asks: give --certs DIR or {CertsVariable} (a folder of `migctl certs issue … --operator NAME`)");
        try
        {
            return Credentials.Open(directory);
        }
        catch (CertificateException error)
        {
            throw new UsageException($"--certs {error.Message}: {error.Remedy}");
        }
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

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
