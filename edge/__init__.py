"""Amazon Rekognition for the device itself.

The layers, imports only downward (``tests/test_layers.py`` holds it):

0. ``types`` ``errors``
   the words and what can go wrong
1. ``settings`` ``config`` ``config_lines`` ``config_file`` ``registry`` ``files`` ``lock`` ``calibration``
   ``subjects`` ``pictures`` ``picture_decoding`` ``picture_headers`` ``drawing`` ``download`` ``database``
   ``vault`` ``vault_keys`` ``vault_files`` ``sdnotify`` ``pulse`` ``board`` ``logs`` ``extras``
   the ground
2. ``sources/`` ``frames`` ``motion`` ``scheduler`` ``shedding`` ``inference/`` ``collection/`` ``tracking/`` ``zones``
   ``policy`` ``outbox`` ``mqtt/`` ``sync/`` ``labels/`` ``review/``
   the stages; none imports another
3. ``pipeline`` ``attention`` ``bundle`` ``cost`` ``telling`` ``custom_labels`` ``assembly`` ``updater``
   ``release_contents`` ``release_trial`` ``labels_trial``
   what happens to one frame, and to one release
4. ``daemon`` ``parts`` ``watchdog`` ``switcher`` ``probation`` ``watch`` ``overload`` ``housekeeping`` ``reports``
   ``commands`` ``neighbours`` ``health`` ``finder`` ``teach`` ``lessons`` ``refit`` ``learning``
   ``label_doubts`` ``doubts`` ``glimpses`` ``strangers`` ``answers``
   ``gate`` ``naming`` ``forget`` ``traces`` ``farewells`` ``leftovers`` ``eraser`` ``control`` ``encryption``
   ``enroll`` ``enrolments`` ``identify`` ``model_library`` ``catalogue`` ``quantization`` ``bench/`` ``api/`` ``hub/``
   ``analyze/`` ``doctor/`` ``page/``
   the hosts
5. ``cli/``
   the door
"""

__version__ = "0.1.0"
