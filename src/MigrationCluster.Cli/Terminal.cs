using Spectre.Console;

namespace MigrationCluster.Cli;

/// <summary>Where migctl writes.</summary>
/// <param name="interactive">output is a terminal: colours, and a display that is redrawn in place.</param>
public sealed class Terminal(TextWriter output, TextWriter error, bool interactive)
{
    /// <summary>Wide enough that a redirected listing keeps one row a line.</summary>
    private const int RedirectedWidth = 160;

    public TextWriter Output { get; } = output;
    public TextWriter Error { get; } = error;
    public bool Interactive { get; } = interactive;
    public IAnsiConsole Console { get; } = MakeConsole(output, interactive);

    public static Terminal OfThisProcess() =>
        new(System.Console.Out, System.Console.Error, !System.Console.IsOutputRedirected);

    private static IAnsiConsole MakeConsole(TextWriter writer, bool interactive)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = interactive ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = interactive ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = interactive ? InteractionSupport.Detect : InteractionSupport.No,
        });
        console.Profile.Capabilities.Unicode = true;
        if (!interactive) console.Profile.Width = RedirectedWidth;
        return console;
    }
}
