"""An evening from badge to lock through everything, on each broker, history and database."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from server.events import CloseAsked, GuestsChanged, WatchOffered, WatchTaken
from server.history import Sample

if TYPE_CHECKING:
    from tests.whole.conftest import House, NewHouse
