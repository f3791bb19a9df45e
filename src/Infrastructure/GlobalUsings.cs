// Domain/Trees has errors of the same name; in this assembly the reader's are meant unless said otherwise.
global using LayerErrors = Starlight.Infrastructure.Images.Layers.LayerErrors;
