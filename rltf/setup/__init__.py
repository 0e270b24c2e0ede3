"""From config to objects: typed nodes, checks of what a user wrote, components, callbacks, loggers, trainer. Nothing is
trained or judged here, and only this folder and `commands` see the config."""
