namespace MigrationCluster.Cli.Tests;

/// <summary>What one run of migctl, inside the test's process, left behind.</summary>
internal sealed record Ran(int Code, string Output, string Error)
{
    public static Task<Ran> Migctl(params string[] args) => Migctl(new Interruption(), new StringWriter(), args);

    public static async Task<Ran> Migctl(Interruption interruption, TextWriter output, params string[] args)
    {
        var error = new StringWriter();
        using (interruption)
        {
            int code = await Cli.Commands.Migctl.RunAsync(args, new Terminal(output, error, interactive: false), interruption);
            return new Ran(code, output.ToString()!, error.ToString());
        }
    }
}
