using System.CommandLine;
using System.CommandLine.Parsing;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Cli.Certificates;
using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Commands;

/// <summary>A development authority: for trying, and for clusters that have no other. Nothing of it talks to a cluster.</summary>
public static class CertsCommand
{
    public static Command Build(Terminal terminal, Interruption interruption) =>
        new("certs", "Certificates for a cluster beyond one machine: makes an authority, and what nodes and operators prove themselves with.")
        {
            BuildInit(terminal, interruption), BuildIssue(terminal, interruption), BuildShow(terminal, interruption),
        };

    private static Command BuildInit(Terminal terminal, Interruption interruption)
    {
        var directory = new Argument<string>("DIR") { Description = "folder for the authority's certificate and key, made if need be" };
        var init = new Command("init", "Makes an authority for one cluster. Whoever has its key can be anybody: keep the folder to yourself.")
        {
            directory,
        };
        Invocation.Handle(init, terminal, interruption, (run, _) =>
        {
            string made = run.Parse.GetRequiredValue(directory);
            using (Authority.Make(made, TimeProvider.System)) Show(run, made, $"Next: migctl certs issue {made} --node NAME --may-coordinate");
            return Task.FromResult(ExitCodes.Done);
        });
        return init;
    }

    private static Command BuildIssue(Terminal terminal, Interruption interruption)
    {
        var directory = new Argument<string>("DIR") { Description = "folder of the authority (`migctl certs init`)" };
        var node = Name("--node", "issue to the node of this --name");
        var @operator = Name("--operator", "issue to an operator, who may ask coordinators for anything");
        var mayCoordinate = new Option<bool>("--may-coordinate") { Description = "the node may be started with --coordinator and command others" };
        var addresses = new Option<string[]>("--address")
        {
            Description = "an IP address or DNS name the node may be reached at; given again for each other one; without it, at any",
            HelpName = "ADDRESS",
            Arity = ArgumentArity.OneOrMore,
        };
        addresses.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => Uri.CheckHostName(token.Value) == UriHostNameType.Unknown))
                result.AddError($"--address {token.Value}: accepted is an IP address or a DNS name, without a port");
        });
        var issue = new Command("issue", "Issues a certificate into a folder of its own, to be handed to one host or one operator.")
        {
            directory, node, @operator, mayCoordinate, addresses,
        };
        issue.Validators.Add(result =>
        {
            bool toNode = result.GetValue(node) is not null;
            if (toNode == result.GetValue(@operator) is not null) result.AddError("give either --node NAME or --operator NAME");
            else if (!toNode && (result.GetValue(mayCoordinate) || result.GetValue(addresses) is { Length: > 0 }))
                result.AddError("--may-coordinate and --address are for --node: an operator serves nobody");
        });
        Invocation.Handle(issue, terminal, interruption, (run, _) =>
        {
            var identity = run.Parse.GetValue(node) is { } name
                ? new CertificateIdentity(run.Parse.GetValue(mayCoordinate) ? CertificateRole.Coordinator : CertificateRole.Node, name)
                : new CertificateIdentity(CertificateRole.Operator, run.Parse.GetRequiredValue(@operator));
            using var authority = Authority.Open(run.Parse.GetRequiredValue(directory));
            string folder = authority.Issue(identity, run.Parse.GetValue(addresses) ?? [], TimeProvider.System);
            Show(run, folder, identity.Role == CertificateRole.Operator
                ? $"Next: migctl --certs {folder}, or MC_CERTS={folder}"
                : $"Next: copy {folder} to its host, then mc-node --name {identity.Name} --certs FOLDER");
            return Task.FromResult(ExitCodes.Done);
        });
        return issue;
    }

    private static Command BuildShow(Terminal terminal, Interruption interruption)
    {
        var path = new Argument<string>("PATH") { Description = "a certificate, or the folder of an authority or of what it issued" };
        var show = new Command("show", "Shows whom a certificate is of and how long it is valid; exit code 1 if it would not be accepted.") { path };
        Invocation.Handle(show, terminal, interruption, (run, _) =>
            Task.FromResult(Show(run, run.Parse.GetRequiredValue(path)).Problem is null ? ExitCodes.Done : ExitCodes.Error));
        return show;
    }

    private static CertificateView Show(Invocation run, string path, string? next = null)
    {
        var view = CertificateView.Read(path);
        if (run.Json) run.WriteJson(view);
        else run.Terminal.Console.Write(Listings.Certificate(view));
        if (next is not null) run.Narration.WriteLine(next);
        return view;
    }

    private static Option<string> Name(string option, string description)
    {
        var made = new Option<string>(option) { Description = description, HelpName = "NAME" };
        made.Validators.Add(result =>
        {
            string name = result.Tokens[0].Value;
            if (!CertificateIdentity.IsName(name))
                result.AddError($"{option} {name}: accepted is 1 to 32 characters of a-z, 0-9 and '-', starting with a letter");
        });
        return made;
    }
}
