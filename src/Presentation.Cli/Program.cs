using Starlight.Presentation.Cli;

return await CommandLine.RunAsync(args);
