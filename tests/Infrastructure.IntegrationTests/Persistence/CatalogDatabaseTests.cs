using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Persistence;

namespace Starlight.Infrastructure.IntegrationTests.Persistence;

public sealed class CatalogDatabaseTests
{
    [Theory]
    [InlineData("postgres://user:p%40ss@db.example/starlight?sslmode=disable", DatabaseKind.Postgres, "postgres://db.example:5432/starlight")]
    [InlineData("postgresql://db.example:6000", DatabaseKind.Postgres, "postgres://db.example:6000/postgres")]
    [InlineData("Host=db.example;Database=starlight;Password=secret", DatabaseKind.Postgres, "postgres://db.example:5432/starlight")]
    [InlineData("/var/lib/catalog.db", DatabaseKind.Sqlite, "/var/lib/catalog.db")]
    [InlineData("Data Source=/var/lib/catalog.db", DatabaseKind.Sqlite, "/var/lib/catalog.db")]
    public void Parse_ForEachForm_TellsTheDatabaseAndHidesThePassword(string text, object kind, string display)
    {
        CatalogDatabase database = CatalogDatabase.Parse(text);

        database.Kind.ShouldBe((DatabaseKind)kind);
        database.DisplayName.ShouldBe(display);
    }

    [Theory]
    [InlineData("postgres://user:hunter2@db/x?sslmode=sometimes")]
    [InlineData("Nonsense=hunter2")]
    [InlineData("Host=db;Port=hunter2")]
    public void Parse_WhenMalformed_FailsWithoutRepeatingTheText(string text)
    {
        FailureException failure = Should.Throw<FailureException>(() => CatalogDatabase.Parse(text));

        failure.Error.Code.ShouldBe("Catalog.ConnectionMalformed");
        failure.Message.ShouldNotContain("user:hunter2");
    }
}
