using System.CommandLine;
using MigrationCluster.Cli.Demo;

namespace MigrationCluster.Cli.Commands;

public static class DemoCommand
{
    public static Command Build(Terminal terminal, Interruption interruption)
    {
        var memory = UnitOptions.Memory();
        var dirtyRate = UnitOptions.DirtyRate();
        var devices = Devices();
        var maxDowntime = UnitOptions.MaxDowntime();
        var keep = new Option<bool>("--keep") { Description = "leave the cluster running, and say how to talk to it and how to end it" };
        var end = new Option<string>("--end")
        {
            Description = "end a demo that was kept, or killed half-way: all its processes, and its folder",
            HelpName = "FOLDER",
        };
        end.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { } folder && !DemoFolder.Is(folder))
                result.AddError($"--end {folder}: not a demo's folder, which is /tmp/mcd-XXXXXX with a {DemoFolder.Configuration} in it");
        });
        var demo = new Command("demo",
            "Starts two nodes and a guest at work on this machine, moves the guest live from one to the other, proves that " +
            "nothing was lost, and leaves nothing behind.")
        {
            memory, dirtyRate, devices, maxDowntime, keep, end,
        };
        Invocation.Handle(demo, terminal, interruption, (run, cancellationToken) => run.Parse.GetValue(end) is { } folder
            ? EndAsync(run, folder)
            : new DemoRun(run, new DemoSettings(
                memory.Read(run.Parse), dirtyRate.Read(run.Parse), run.Parse.GetRequiredValue(devices).Split(','),
                maxDowntime.Read(run.Parse), run.Parse.GetValue(keep))).RunAsync(cancellationToken));
        return demo;
    }

    private static async Task<int> EndAsync(Invocation run, string folder)
    {
        var left = await DemoFolder.RemoveAsync(folder, TimeProvider.System);
        foreach (string what in left) run.Terminal.Error.WriteLine($"migctl: left behind: {what}");
        if (run.Json) run.WriteJson(new { folder, leftBehind = left });
        else if (left.Count == 0) run.Terminal.Output.WriteLine("Nothing is left behind: no process, no socket, no file.");
        return left.Count == 0 ? ExitCodes.Done : ExitCodes.Error;
    }

    private static Option<string> Devices()
    {
        var option = new Option<string>("--devices")
        {
            Description = "the guest's devices, kinds separated by commas: net, gpu, serial",
            HelpName = "KINDS",
            DefaultValueFactory = _ => "net,gpu,serial,net",
        };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not { } text) return;
            string[] kinds = text.Split(',');
            if (kinds.Length <= DemoSettings.MostDevices && kinds.All(DemoSettings.Templates.ContainsKey)) return;
            result.AddError($"--devices {text}: accepted are 1 to {DemoSettings.MostDevices} of " +
                $"{string.Join(", ", DemoSettings.Templates.Keys)}, separated by commas, e.g. net,gpu,serial,net");
        });
        return option;
    }
}
