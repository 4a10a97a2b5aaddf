from zoo.analysis.opinions import Engine
ENGINE=None
